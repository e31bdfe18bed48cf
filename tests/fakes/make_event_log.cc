// make-event-log PATH: writes the small event log to PATH and prints a line
// `PCR SHA256` for each measurement, in order, so that a script can extend a
// software TPM:
//   make-event-log log.bin | while read pcr hash; do
//     tpm2_pcrextend "$pcr:sha256=$hash"; done

#include <fstream>
#include <iostream>

#include "tests/fakes/event_log_builder.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make-event-log PATH\n";
    return 2;
  }
  const countersign::fakes::EventLogBuilder log =
      countersign::fakes::SmallEventLog();
  std::ofstream file(argv[1], std::ios::binary);
  file << countersign::AsString(log.Encode());
  file.close();
  if (!file) {
    std::cerr << "make-event-log: cannot write " << argv[1] << "\n";
    return 1;
  }
  for (const auto& event : log.events()) {
    std::cout << event.pcr << " " << countersign::ToHex(event.digest) << "\n";
  }
  return 0;
}
