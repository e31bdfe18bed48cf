// Completions in the real shells, made by the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/cli/program.h"

namespace countersign::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return lines;
}

bool Has(const std::string& shell) {
  return RunProgram({shell, "-c", "exit 0"}).exit_code == 0;
}

class CompletionTest : public ::testing::TestWithParam<const char*> {
 protected:
  CompletionTest() {
    std::string pattern = "/tmp/countersign-completion-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    shell_ = GetParam();
    script_ = folder_ + "/" + (shell_ == "zsh" ? "_countersign" : "script");
    std::ofstream(script_) << RunCli({"completion", shell_}).out;
    std::ofstream(folder_ + "/bundle.cse") << "x";
    std::filesystem::create_directory(folder_ + "/trust");
  }
  ~CompletionTest() override { std::filesystem::remove_all(folder_); }

  // What the shell offers for the last word of `line`, one a line.
  std::vector<std::string> Offers(const std::string& line) {
    if (shell_ == "bash") return Lines(Bash(line));
    return Lines(shell_ == "zsh" ? Zsh(line) : Fish(line));
  }

  std::string Bash(const std::string& line) {
    return RunProgram({"bash", "--norc", "-c",
                       "cd " + folder_ + "; source " + script_ + "; line='" +
                           line +
                           "'; COMP_WORDS=($line); [[ $line == *' ' ]] && "
                           "COMP_WORDS+=(''); COMP_CWORD=$((${#COMP_WORDS[@]} "
                           "- 1)); _countersign; "
                           "printf '%s\\n' \"${COMPREPLY[@]}\""})
        .out;
  }
  // zsh completes only where it edits a line: in a terminal of its own.
  std::string Zsh(const std::string& line) {
    const std::string driver = folder_ + "/driver";
    const std::string offered = folder_ + "/offers";
    std::filesystem::remove(offered);
    // compadd is what every completion ends in: ours notes what it would add.
    std::ofstream(driver)
        << "zmodload zsh/zpty\n"
           "zpty z zsh -f -i\n"
           "zpty -w z 'cd "
        << folder_
        << "; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; "
           "compadd() { local -a offer; builtin compadd -O offer \"$@\"; "
           "print -l OFFER\\ ${^offer} >>"
        << offered
        << "; }; bindkey \"^I\" complete-word; PS1=RE\"\"ADY'\n"
           "zpty -r z out '*READY*'\n"
           "zpty -w -n z '"
        << line
        << "'$'\\t\\025print DO\"\"NE\\n'\n"
           "zpty -r z out '*DONE*'\n"
           "zpty -d z\n";
    RunProgram({"zsh", "-f", driver});
    std::ifstream offers(offered);
    std::string text;
    for (std::string offer; std::getline(offers, offer);) {
      if (offer.starts_with("OFFER ")) text += offer.substr(6) + "\n";
    }
    return text;
  }
  std::string Fish(const std::string& line) {
    const std::string out =
        RunProgram({"fish", "--no-config", "-c",
                    "cd " + folder_ + "; source " + script_ +
                        "; complete -C '" + line + "'"},
                   {{"HOME", folder_}})
            .out;
    std::string text;  // Without the descriptions.
    for (const std::string& offer : Lines(out)) {
      text += offer.substr(0, offer.find('\t')) + "\n";
    }
    return text;
  }

  std::string folder_;
  std::string shell_;
  std::string script_;
};

TEST_P(CompletionTest, OffersWhatTheParserTakes) {
  if (!Has(shell_)) GTEST_SKIP() << shell_ << " is not installed";
  EXPECT_THAT(Offers("countersign st"), Contains("status"));
  EXPECT_THAT(Offers("countersign "), Contains("authorize"));
  EXPECT_THAT(Offers("countersign "), Contains("completion"));
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_THAT(Offers("countersign completion "), Contains(shell));
  }
  EXPECT_THAT(Offers("countersign session "), Contains("close"));
  EXPECT_THAT(Offers("countersign session "), Not(Contains("status")));
  EXPECT_THAT(Offers("countersign session open --"), Contains("--purpose"));
  EXPECT_THAT(Offers("countersign session open --"),
              Not(Contains("--resource")));
  EXPECT_THAT(Offers("countersign authorize --name x --grant"),
              Contains("--grant-out"));
  EXPECT_THAT(Offers("countersign export --quote "), Contains("session"));
}

TEST_P(CompletionTest, OffersFilesAndFolders) {
  if (!Has(shell_)) GTEST_SKIP() << shell_ << " is not installed";
  const auto files = Offers("countersign verify bun");
  EXPECT_THAT(files, Contains("bundle.cse"));
  const auto folders = Offers("countersign verify b --trust t");
  EXPECT_THAT(folders, Contains(::testing::StartsWith("trust")));
}

// The manual is written by hand; that nothing is missing in it is checked.
TEST(ManualTest, NamesEveryCommandAndOption) {
  std::ifstream file(std::string(getenv("COUNTERSIGN_SOURCE")) +
                     "/docs/man/countersign.1");
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  size_t names = 0;
  for (const std::string& line : Lines(RunCli({"completion", "fish"}).out)) {
    for (const char* mark : {"\" -a ", "\" -l "}) {
      const size_t at = line.find(mark);
      if (at == std::string::npos) continue;
      const std::string rest = line.substr(at + 5);
      const std::string name = rest.substr(0, rest.find(' '));
      if (name.starts_with('\'')) continue;  // A function of fish.
      const bool is_option = mark[3] == 'l';
      EXPECT_THAT(manual, HasSubstr(is_option ? "Fl -" + name : name)) << line;
      ++names;
    }
  }
  EXPECT_GT(names, 40u);
}

INSTANTIATE_TEST_SUITE_P(Shells, CompletionTest,
                         ::testing::Values("bash", "zsh", "fish"));

}  // namespace
}  // namespace countersign::agent
