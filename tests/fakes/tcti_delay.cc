// A TCTI that slows down or spoils another one: chips of 5 to 200 ms and
// faults on the bus, without either.
//
//   /path/libtss2-tcti-delay.so.0:ms=71:cc=0x158:swtpm:path=/run/tpm.sock
//
// Options, then the real TCTI. They apply to commands with code `cc` (0: all;
// default TPM2_Quote):
//   ms=N        the answer comes no sooner than N ms after the command
//   every=N     the faults below hit each N-th such command (default: all)
//   skip=N      but not the first N
//   count=N     and no more than N of them
//   rc=HEX      answered with this code; the TPM never sees the command
//   cut=1       connection broken before the TPM sees the command
//   lost=1      connection broken after the TPM executed it
//   flip=N      bit 0 of byte N of the answer is wrong (a length off by one)
//   poke=N.HEX  bytes of the answer from N on are HEX
//   short=N     only the first N bytes of the answer arrive
//   garble=N    bit 0 of byte N of the command is wrong
// Counts go on over reconnects with the same string. A Receive with a timeout
// waits no longer than that and says TRY_AGAIN until the answer is due.

#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::chrono::milliseconds delay{0};
  uint32_t command_code = TPM2_CC_Quote;
  uint64_t every = 1;
  uint64_t skip = 0;
  uint64_t count = UINT64_MAX;
  std::optional<uint32_t> rc;
  bool cut = false;
  bool lost = false;
  std::optional<size_t> flip;
  std::optional<size_t> shortened;
  std::optional<size_t> garble;
  size_t poke_at = 0;
  std::vector<uint8_t> poke;
  std::string inner;
};

std::vector<uint8_t> FromHex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(
        std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
  }
  return bytes;
}

void Set(Options& options, const std::string& key, const std::string& value) {
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 0);
  if (key == "ms") options.delay = std::chrono::milliseconds(number);
  if (key == "cc") options.command_code = static_cast<uint32_t>(number);
  if (key == "every") options.every = number == 0 ? 1 : number;
  if (key == "skip") options.skip = number;
  if (key == "count") options.count = number;
  if (key == "rc") options.rc = static_cast<uint32_t>(number);
  if (key == "cut") options.cut = number != 0;
  if (key == "lost") options.lost = number != 0;
  if (key == "flip") options.flip = number;
  if (key == "short") options.shortened = number;
  if (key == "garble") options.garble = number;
  if (key == "poke") {
    options.poke_at = number;
    options.poke = FromHex(value.substr(value.find('.') + 1));
  }
}

Options Parse(std::string text) {
  Options options;
  while (true) {
    const size_t colon = text.find(':');
    const std::string token = text.substr(0, colon);
    const size_t equals = token.find('=');
    if (equals == std::string::npos || colon == std::string::npos) break;
    Set(options, token.substr(0, equals), token.substr(equals + 1));
    text.erase(0, colon + 1);
  }
  options.inner = text;
  return options;
}

struct Context {
  TSS2_TCTI_CONTEXT_COMMON_V1 common;
  TSS2_TCTI_CONTEXT* inner;
  Options* options;
  std::string* text;
  Clock::time_point sent;
  bool applies;  // To the command in flight.
  bool faulty;
  bool answered;  // Without the TPM.
};

Context& From(TSS2_TCTI_CONTEXT* context) {
  return *reinterpret_cast<Context*>(context);
}

// True if the fault hits this command.
bool CountCommand(const std::string& text, const Options& options) {
  static std::mutex mutex;
  static std::map<std::string, std::pair<uint64_t, uint64_t>> seen_and_hit;
  const std::lock_guard lock(mutex);
  auto& [seen, hit] = seen_and_hit[text];
  ++seen;
  if (seen <= options.skip || hit >= options.count) return false;
  if ((seen - options.skip) % options.every != 0) return false;
  ++hit;
  return true;
}

TSS2_RC Transmit(TSS2_TCTI_CONTEXT* context, size_t size,
                 const uint8_t* command) {
  Context& self = From(context);
  const Options& options = *self.options;
  uint32_t code = 0;
  for (size_t i = 6; i < 10 && i < size; ++i) code = code << 8 | command[i];
  self.applies = options.command_code == 0 || options.command_code == code;
  self.faulty = self.applies && CountCommand(*self.text, options);
  self.answered = self.faulty && options.rc.has_value();
  self.sent = Clock::now();
  if (self.answered) return TSS2_RC_SUCCESS;
  if (self.faulty && options.cut) return TSS2_TCTI_RC_IO_ERROR;
  std::vector<uint8_t> bytes(command, command + size);
  if (self.faulty && options.garble && *options.garble < size) {
    bytes[*options.garble] ^= 1;
  }
  return Tss2_Tcti_Transmit(self.inner, bytes.size(), bytes.data());
}

TSS2_RC AnswerWithCode(uint32_t rc, size_t* size, uint8_t* response) {
  const uint8_t answer[10] = {0x80,
                              0x01,
                              0,
                              0,
                              0,
                              10,
                              static_cast<uint8_t>(rc >> 24),
                              static_cast<uint8_t>(rc >> 16),
                              static_cast<uint8_t>(rc >> 8),
                              static_cast<uint8_t>(rc)};
  if (response != nullptr) std::memcpy(response, answer, sizeof(answer));
  *size = sizeof(answer);
  return TSS2_RC_SUCCESS;
}

void Spoil(const Options& options, size_t* size, uint8_t* response) {
  if (options.flip && *options.flip < *size) response[*options.flip] ^= 1;
  for (size_t i = 0; i < options.poke.size(); ++i) {
    if (options.poke_at + i < *size) {
      response[options.poke_at + i] = options.poke[i];
    }
  }
  if (options.shortened && *options.shortened < *size) {
    *size = *options.shortened;
  }
}

// Waits until the answer is due, at most `timeout` ms (negative: for ever).
bool WaitUntilDue(const Context& self, int32_t timeout) {
  if (!self.applies) return true;
  const Clock::time_point due = self.sent + self.options->delay;
  const Clock::time_point end =
      timeout < 0 ? due : Clock::now() + std::chrono::milliseconds(timeout);
  std::this_thread::sleep_until(std::min(due, end));
  return Clock::now() >= due;
}

TSS2_RC Receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response,
                int32_t timeout) {
  Context& self = From(context);
  const Options& options = *self.options;
  if (self.answered) return AnswerWithCode(*options.rc, size, response);
  // With a timeout the wait comes first, since an answer once taken cannot be
  // put back; without one it comes last, so that it hides the TPM's own time.
  if (timeout >= 0 && !WaitUntilDue(self, timeout)) {
    return TSS2_TCTI_RC_TRY_AGAIN;
  }
  const TSS2_RC rc = Tss2_Tcti_Receive(self.inner, size, response, timeout);
  if (rc != TSS2_RC_SUCCESS || response == nullptr) return rc;
  if (timeout < 0) WaitUntilDue(self, timeout);
  if (self.faulty && options.lost) return TSS2_TCTI_RC_IO_ERROR;
  if (self.faulty) Spoil(options, size, response);
  return TSS2_RC_SUCCESS;
}

TSS2_RC GetPollHandles(TSS2_TCTI_CONTEXT* context,
                       TSS2_TCTI_POLL_HANDLE* handles, size_t* count) {
  return Tss2_Tcti_GetPollHandles(From(context).inner, handles, count);
}

void Finalize(TSS2_TCTI_CONTEXT* context) {
  Context& self = From(context);
  Tss2_TctiLdr_Finalize(&self.inner);
  delete self.options;
  delete self.text;
}

TSS2_RC Init(TSS2_TCTI_CONTEXT* context, size_t* size, const char* conf) {
  if (size == nullptr || (context != nullptr && conf == nullptr))
    return TSS2_TCTI_RC_BAD_REFERENCE;
  if (context == nullptr) {
    *size = sizeof(Context);
    return TSS2_RC_SUCCESS;
  }
  Context& self = From(context);
  self = {};
  auto* options = new Options(Parse(conf));
  const TSS2_RC rc =
      Tss2_TctiLdr_Initialize(options->inner.c_str(), &self.inner);
  if (rc != TSS2_RC_SUCCESS) {
    delete options;
    return rc;
  }
  self.options = options;
  self.text = new std::string(conf);
  self.common.magic = 0x64656c6179656421;
  self.common.version = 1;
  self.common.transmit = Transmit;
  self.common.receive = Receive;
  self.common.finalize = Finalize;
  self.common.getPollHandles = GetPollHandles;
  return TSS2_RC_SUCCESS;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const TSS2_TCTI_INFO*
Tss2_Tcti_Info() {
  static const TSS2_TCTI_INFO kInfo = {
      1, "tcti-delay", "slows down or spoils another TCTI",
      "options, then the name and configuration of the other TCTI", Init};
  return &kInfo;
}
