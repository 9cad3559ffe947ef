#include "app/app.hpp"

int main(int argc, char** argv) {
    return coupond::run_app(argc, argv);
}
