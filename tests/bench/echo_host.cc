// The least that a native messaging host can be: sends back what it reads.
// tests/bench/browser measures countersign-native-host against it.
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

bool ReadAll(char* data, size_t size) {
  while (size > 0) {
    const ssize_t now = ::read(STDIN_FILENO, data, size);
    if (now <= 0) return false;
    data += now;
    size -= static_cast<size_t>(now);
  }
  return true;
}

}  // namespace

int main() {
  std::vector<char> frame;
  uint32_t size = 0;
  while (ReadAll(reinterpret_cast<char*>(&size), sizeof(size))) {
    if (size > 1024 * 1024) return 1;
    frame.resize(sizeof(size) + size);
    std::memcpy(frame.data(), &size, sizeof(size));
    if (!ReadAll(frame.data() + sizeof(size), size)) return 1;
    if (::write(STDOUT_FILENO, frame.data(), frame.size()) !=
        static_cast<ssize_t>(frame.size())) {
      return 1;
    }
  }
  return 0;
}
