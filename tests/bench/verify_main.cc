// bench-verify: what a service pays to appraise a batch of 1,024 actions, and
// what it would pay for 1,024 actions with a quote each.
//
//   bench-verify [ROUNDS]      prints one line of JSON
//
// The evidence is that of the verifier's own tests: real TPMS_ATTEST bytes and
// ECDSA P-256 signatures by a key in software.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "attest/verifier/appraise.h"
#include "tests/attest/verifier/evidence.h"

namespace countersign::bench {
namespace {

constexpr uint32_t kBatch = 1024;

// Of this thread: nothing here waits, and other programs do not count.
double CpuSeconds() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) +
         static_cast<double>(spent.tv_nsec) / 1e9;
}

// Seconds to appraise `evidence`; ends the program if it is refused.
double Appraise(const std::vector<v1::BatchEvidence>& evidence,
                const verifier::KnownDevice& device) {
  verifier::ExpectedBatch expected;
  expected.check_chain = [](const v1::ActionBatch&, const Sha256Digest&) {
    return Status();
  };
  const double start = CpuSeconds();
  for (const v1::BatchEvidence& one : evidence) {
    const auto result = verifier::AppraiseBatch(one, device, expected);
    if (!result.has_value() || !result->trusted()) {
      std::fputs("bench-verify: good evidence was refused\n", stderr);
      std::exit(1);
    }
  }
  return CpuSeconds() - start;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace
}  // namespace countersign::bench

int main(int argc, char** argv) {
  using namespace countersign;
  using namespace countersign::bench;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 11;
  const verifier::Device& device = verifier::SharedDevice();
  const verifier::KnownDevice known = device.Known();
  const std::vector batch = {verifier::BatchParts(device, kBatch).Build()};
  std::vector<v1::BatchEvidence> singles;
  for (uint32_t i = 0; i < kBatch; ++i) {
    singles.push_back(verifier::BatchParts(device, 1).Build());
  }
  std::vector<double> batched;
  std::vector<double> single;
  std::vector<double> ratios;
  for (int i = 0; i < rounds; ++i) {
    batched.push_back(Appraise(batch, known));
    single.push_back(Appraise(singles, known));
    ratios.push_back(single.back() / batched.back());
  }
  std::printf(
      "{\"batched_per_s\": %.0f, \"single_per_s\": %.0f, \"ratio\": %.2f}\n",
      kBatch / Median(batched), kBatch / Median(single), Median(ratios));
  return 0;
}
