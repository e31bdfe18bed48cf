#include "agent/daemon/workload.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace countersign::agent {
namespace {

ObservedProcess Agent() {
  ObservedProcess process;
  process.identity.pid = 4711;
  process.identity.uid = 1000;
  process.identity.start_time = 99;
  process.identity.executable.path = "/usr/bin/agent";
  process.identity.unit = "session-3.scope";
  return process;
}

v1::Workload Describe(const ObservedProcess& process) {
  return DescribeWorkload(process, "https://authz.test:8443",
                          std::string(16, '\x01'));
}

// As the service takes it: the weakest look at a fact counts.
v1::Grade GradeOf(const v1::Workload& workload, const std::string& fact) {
  v1::Grade weakest = v1::GRADE_UNSPECIFIED;
  for (const v1::Observation& seen : workload.observations()) {
    if (seen.name() == fact) weakest = std::max(weakest, seen.grade());
  }
  return weakest;
}

bool Says(const v1::Workload& workload, const std::string& fact,
          const std::string& how) {
  return std::ranges::any_of(
      workload.observations(), [&](const v1::Observation& seen) {
        return seen.name() == fact && seen.how().find(how) != std::string::npos;
      });
}

const char* const kFacts[] = {"executable_path", "executable_sha256",
                              "spiffe_id", "pid", "unit"};

TEST(DescribeWorkloadTest, TakesTheKernelsWordForAPlainProcess) {
  const v1::Workload workload = Describe(Agent());
  EXPECT_EQ(workload.executable_path(), "/usr/bin/agent");
  EXPECT_EQ(workload.spiffe_id(),
            "spiffe://authz.test/device/01010101010101010101010101010101/user/"
            "1000/exe/agent");
  EXPECT_EQ(workload.unit(), "session-3.scope");
  for (const char* const fact : kFacts) {
    EXPECT_EQ(GradeOf(workload, fact), v1::GRADE_KERNEL) << fact;
  }
}

TEST(DescribeWorkloadTest, SaysWhoMayChangeTheFile) {
  ObservedProcess process = Agent();
  process.identity.executable.mode = 0100755;
  EXPECT_TRUE(Says(Describe(process), "executable_path",
                   "file of root, writable by nobody else"));
  process.identity.executable.owner_uid = 1000;
  EXPECT_TRUE(Says(Describe(process), "executable_path", "file of uid 1000"));
  for (const uint32_t mode : {0100775u, 0100757u}) {
    process.identity.executable.mode = mode;
    const v1::Workload workload = Describe(process);
    EXPECT_TRUE(Says(workload, "executable_path", "writable by more"));
    EXPECT_EQ(GradeOf(workload, "executable_path"), v1::GRADE_KERNEL);
  }
}

// protocol.md §10: recorded where seen.
TEST(DescribeWorkloadTest, DoubtsEveryFactOfAProcessThatOthersMaySteer) {
  const auto expect_doubt = [](const ObservedProcess& process,
                               const std::string& how) {
    const v1::Workload workload = Describe(process);
    for (const char* const fact : kFacts) {
      EXPECT_EQ(GradeOf(workload, fact), v1::GRADE_SAME_USER_SPOOFABLE) << fact;
      EXPECT_TRUE(Says(workload, fact, how)) << fact << ' ' << how;
    }
  };
  ObservedProcess traced = Agent();
  traced.identity.traced = true;
  expect_doubt(traced, "TracerPid");
  ObservedProcess preloaded = Agent();
  preloaded.identity.preloaded = true;
  expect_doubt(preloaded, "LD_PRELOAD");
  ObservedProcess named = Agent();
  named.owner_is = OwnerIs::kNamed;
  expect_doubt(named, "descendant");
  ObservedProcess handed_over = Agent();
  handed_over.owner_is = OwnerIs::kHandedOverWithChildren;
  expect_doubt(handed_over, "children");
}

TEST(DescribeWorkloadTest, BelievesOneThatAskedItselfWithChildren) {
  ObservedProcess process = Agent();
  process.owner_is = OwnerIs::kAskingWithChildren;
  EXPECT_EQ(GradeOf(Describe(process), "executable_path"), v1::GRADE_KERNEL);
}

// A45: what it is called says nothing; what it hashes to still does.
TEST(DescribeWorkloadTest, DoubtsThePathOfAFileThatIsNotThere) {
  const auto expect_doubt = [](const ObservedProcess& process,
                               const std::string& how) {
    const v1::Workload workload = Describe(process);
    for (const std::string fact : {"executable_path", "spiffe_id"}) {
      EXPECT_EQ(GradeOf(workload, fact), v1::GRADE_SAME_USER_SPOOFABLE) << fact;
      EXPECT_TRUE(Says(workload, fact, how)) << fact << ' ' << how;
    }
    EXPECT_EQ(GradeOf(workload, "executable_sha256"), v1::GRADE_KERNEL);
  };
  ObservedProcess memfd = Agent();
  memfd.identity.executable.path.clear();
  memfd.identity.executable.memfd = true;
  memfd.identity.executable.deleted = true;
  memfd.path_leads_to_it = false;
  expect_doubt(memfd, "memory");
  ObservedProcess deleted = Agent();
  deleted.identity.executable.deleted = true;
  deleted.path_leads_to_it = false;
  expect_doubt(deleted, "replaced or removed");
  ObservedProcess elsewhere = Agent();
  elsewhere.path_leads_to_it = false;
  expect_doubt(elsewhere, "another file");
}

TEST(DescribeWorkloadTest, NamesThePackage) {
  EXPECT_EQ(Describe(Agent()).package(), "");
  ObservedProcess process = Agent();
  process.package = "chromium 156.0-1";
  EXPECT_EQ(Describe(process).package(), "chromium 156.0-1");
  EXPECT_EQ(GradeOf(Describe(process), "package"), v1::GRADE_OS_SERVICE);
  process.identity.preloaded = true;
  EXPECT_EQ(GradeOf(Describe(process), "package"),
            v1::GRADE_SAME_USER_SPOOFABLE);
}

TEST(DescribeWorkloadTest, AsksNoPackageOfAFileThatOthersMayChange) {
  platform::ExecutableFile file;
  file.mode = 0100755;
  EXPECT_TRUE(OnlyRootMayChange(file));
  for (const auto& spoil :
       {+[](platform::ExecutableFile& f) { f.owner_uid = 1000; },
        +[](platform::ExecutableFile& f) { f.mode = 0100775; },
        +[](platform::ExecutableFile& f) { f.mode = 0100757; },
        +[](platform::ExecutableFile& f) { f.deleted = true; },
        +[](platform::ExecutableFile& f) { f.memfd = true; }}) {
    platform::ExecutableFile spoilt = file;
    spoil(spoilt);
    EXPECT_FALSE(OnlyRootMayChange(spoilt));
  }
}

TEST(DescribeWorkloadTest, TakesTheBrowsersWordBeforeTheExtensions) {
  ObservedProcess process = Agent();
  process.origin = "moz-extension://said/";
  v1::Workload workload = Describe(process);
  EXPECT_EQ(workload.kind(), "browser-extension");
  EXPECT_EQ(workload.origin(), "moz-extension://said/");
  EXPECT_EQ(GradeOf(workload, "origin"), v1::GRADE_CLAIMED);
  process.relay_origin = "chrome-extension://told/";
  workload = Describe(process);
  EXPECT_EQ(workload.origin(), "chrome-extension://told/");
  EXPECT_EQ(GradeOf(workload, "origin"), v1::GRADE_SAME_USER_SPOOFABLE);
}

TEST(OriginInArgumentsTest, FindsWhatEitherBrowserSays) {
  EXPECT_EQ(OriginInArguments({"/host", "chrome-extension://abc/"}),
            "chrome-extension://abc/");
  EXPECT_EQ(OriginInArguments({"/host", "/etc/host.json", "a@b.example"}),
            "a@b.example");
  EXPECT_EQ(OriginInArguments({"/host", "/etc/host.json"}), "");
  EXPECT_EQ(OriginInArguments({"/host", "--help", "more"}), "");
  EXPECT_EQ(OriginInArguments({"/host"}), "");
  EXPECT_EQ(OriginInArguments({}), "");
}

TEST(DescribeWorkloadTest, TellsApartWhoNamedTheUnit) {
  ObservedProcess process = Agent();
  process.identity.unit = "user@1000.service";
  process.identity.user_unit = "sshd.service";
  v1::Workload workload = Describe(process);
  EXPECT_EQ(workload.unit(), "user@1000.service");
  EXPECT_EQ(GradeOf(workload, "unit"), v1::GRADE_KERNEL);
  EXPECT_EQ(workload.user_unit(), "sshd.service");
  EXPECT_EQ(GradeOf(workload, "user_unit"), v1::GRADE_SAME_USER_SPOOFABLE);

  // What a user has called like a container is not one by the kernel's word.
  const std::string id(64, 'c');
  process.identity.container_id = id;
  workload = Describe(process);
  EXPECT_EQ(workload.unit(), id);
  EXPECT_EQ(GradeOf(workload, "unit"), v1::GRADE_SAME_USER_SPOOFABLE);
  process.identity.unit = "docker-" + id + ".scope";
  EXPECT_EQ(GradeOf(Describe(process), "unit"), v1::GRADE_KERNEL);
  process.identity.unit.clear();  // cgroupfs: root alone makes it.
  EXPECT_EQ(GradeOf(Describe(process), "unit"), v1::GRADE_KERNEL);
}

}  // namespace
}  // namespace countersign::agent
