// A software TPM for one test: manufactured once a program (1.5 s), then
// copied and started in milliseconds by swtpm.sh. It has EK certificates of
// its own manufacturer and a measured boot. Aborts where it cannot work.
#ifndef COUNTERSIGN_TESTS_FAKES_SWTPM_RIG_H_
#define COUNTERSIGN_TESTS_FAKES_SWTPM_RIG_H_

#include <string>

#include "attest/base/bytes.h"

namespace countersign::fakes {

class SwtpmRig {
 public:
  // Running and measured.
  SwtpmRig();
  SwtpmRig(const SwtpmRig&) = delete;
  SwtpmRig& operator=(const SwtpmRig&) = delete;
  ~SwtpmRig();

  [[nodiscard]] const std::string& dir() const { return dir_; }
  [[nodiscard]] std::string tcti() const;
  // Through tcti_delay with `options`, e.g. "ms=71" or "cut=1:count=1".
  [[nodiscard]] std::string tcti_with(const std::string& options) const;
  [[nodiscard]] Bytes event_log() const;
  // The manufacturer's root certificate, PEM.
  [[nodiscard]] std::string root_certificate() const;

  void Start();
  void Stop();
  void Kill();    // Without TPM2_Shutdown: a crash.
  void Extend();  // Measures the boot, as firmware does after power-on.
  void Reboot();  // Power cycle, then Extend.
  void Pause();   // Hangs: SIGSTOP.
  void Resume();

  // Runs a shell command with TPM2TOOLS_TCTI set to this TPM and dir() as
  // working folder; says whether it succeeded. Standard output goes to
  // `output` if given.
  bool Shell(const std::string& command, std::string* output = nullptr) const;

 private:
  void Run(const std::string& subcommand) const;
  [[nodiscard]] int pid() const;

  std::string dir_;
};

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_SWTPM_RIG_H_
