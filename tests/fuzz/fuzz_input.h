// What every harness needs: the input as text, and a check that cannot be
// compiled away.
#ifndef COUNTERSIGN_TESTS_FUZZ_FUZZ_INPUT_H_
#define COUNTERSIGN_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace countersign {

inline std::string_view FuzzText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A property that must hold for every input.
inline void FuzzCheck(bool holds) {
  if (!holds) std::abort();
}

}  // namespace countersign

#endif  // COUNTERSIGN_TESTS_FUZZ_FUZZ_INPUT_H_
