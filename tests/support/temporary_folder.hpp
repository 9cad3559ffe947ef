// A fresh folder for a test's files, removed with the object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace coupond::test {

class TemporaryFolder {
public:
    enum class Disk {
        real,   ///< whatever the machine's temporary files are on
        memory  ///< where an fsync costs nothing, if there is such a place
    };

    explicit TemporaryFolder(Disk disk = Disk::real) {
        std::error_code none;
        const bool memory = disk == Disk::memory && std::filesystem::is_directory("/dev/shm", none);
        std::string name =
            (memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
            "coupond-test-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
        path_ = name;
    }

    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace coupond::test
