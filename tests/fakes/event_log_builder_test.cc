// The C++ builder and the Python script were written apart and write the same
// log: each checks the other, and both check the parser.
#include "tests/fakes/event_log_builder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "attest/base/digest.h"

namespace countersign::fakes {
namespace {

std::string Source() {
  const char* source = std::getenv("COUNTERSIGN_SOURCE");
  return source == nullptr ? "." : source;
}

// Runs make_event_log.py; what it printed, and the log it wrote.
struct Written {
  std::string lines;
  Bytes log;
};
Written RunScript() {
  const std::filesystem::path path = std::filesystem::temp_directory_path() /
                                     ("event-log-" + std::to_string(getpid()));
  const std::string command =
      Source() + "/tests/fakes/make_event_log.py " + path.string();
  Written written;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return written;
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe)) {
    written.lines.append(buffer, size);
  }
  pclose(pipe);
  std::ifstream file(path, std::ios::binary);
  written.log.assign(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(path);
  return written;
}

TEST(SmallEventLogTest, IsWhatTheScriptWrites) {
  const EventLogBuilder log = SmallEventLog();
  std::string lines;
  for (const LogEvent& event : log.events()) {
    lines += std::to_string(event.pcr) + " " + ToHex(event.digest) + "\n";
  }
  const Written written = RunScript();
  EXPECT_EQ(ToHex(written.log), ToHex(log.Encode()));
  EXPECT_EQ(written.lines, lines);
}

TEST(SmallEventLogTest, MeasuresEachBootPcrAndSeparatesIt) {
  const EventLogBuilder log = SmallEventLog();
  const Bytes bytes = log.Encode();
  const auto parsed = tpm::EventLog::Parse(bytes);
  ASSERT_TRUE(parsed.has_value());
  const tpm::PcrValues values = parsed->Replay();
  for (uint32_t pcr = 0; pcr <= 7; ++pcr) {
    EXPECT_NE(values[pcr], Sha256Digest{});
    const auto separates = [pcr](const LogEvent& event) {
      return event.pcr == pcr && event.type == tpm::kEvSeparator;
    };
    EXPECT_EQ(std::ranges::count_if(log.events(), separates), 1);
  }
}

}  // namespace
}  // namespace countersign::fakes
