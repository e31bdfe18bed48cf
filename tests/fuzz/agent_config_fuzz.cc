// The agent's configuration. Whatever is accepted keeps to its ranges, and
// each complaint names a line.
#include "agent/ipc/config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const auto config = agent::ParseAgentConfig(FuzzText(data, size), "f");
  if (!config.has_value()) {
    FuzzCheck(config.error().code == ErrorCode::kConfigInvalid);
    FuzzCheck(config.error().detail.starts_with("f:"));
    return 0;
  }
  FuzzCheck(config->socket.starts_with('/'));
  FuzzCheck(config->state_dir.starts_with('/'));
  FuzzCheck(config->limits.max_batch >= 1 && config->limits.max_batch <= 2048);
  FuzzCheck(config->limits.connections >= 8);
  for (const std::string& warning : config->warnings) {
    FuzzCheck(warning.starts_with("f:"));
  }
  return 0;
}
