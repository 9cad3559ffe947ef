#include "ctl/ctl.hpp"

int main(int argc, char** argv) {
    return coupond::run_ctl(argc, argv);
}
