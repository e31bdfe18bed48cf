// Real processes for tests.
#ifndef COUNTERSIGN_TESTS_PLATFORM_TEST_PROCESS_H_
#define COUNTERSIGN_TESTS_PLATFORM_TEST_PROCESS_H_

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "platform/local_socket.h"

namespace countersign::platform {

inline constexpr std::chrono::milliseconds kSoon{10'000};

// A folder of mode 0700 that goes with the test.
class TempFolder {
 public:
  TempFolder()
      : path_((std::filesystem::temp_directory_path() / "cs-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

// A forked child that runs `body` and ends; killed and reaped with the test.
class ForkedChild {
 public:
  explicit ForkedChild(const std::function<void()>& body) : pid_(::fork()) {
    if (pid_ == 0) {
      body();
      ::_exit(0);
    }
  }
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;
  ~ForkedChild() { KillAndReap(); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void KillAndReap() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)Wait();
  }
  // The exit code, or 128 + signal.
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_;
};

// The next bytes on `connection`; empty when it closed or nothing came soon.
inline Received ReadSoon(LocalConnection& connection) {
  if (!connection.WaitReadable(kSoon).has_value()) return {};
  auto received = connection.Read(4096);
  if (!received.has_value() || !received->has_value()) return {};
  return std::move(**received);
}

inline LocalConnection AcceptSoon(LocalListener& listener) {
  for (int i = 0; i < 10'000; ++i) {
    auto connection = listener.Accept();
    if (connection.has_value() && connection->has_value()) {
      return std::move(**connection);
    }
    ::usleep(1000);
  }
  std::abort();
}

}  // namespace countersign::platform

#endif  // COUNTERSIGN_TESTS_PLATFORM_TEST_PROCESS_H_
