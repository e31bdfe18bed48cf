#include "platform/linux/proc_text.h"

#include "tests/fails_with.h"

namespace countersign::platform {
namespace {

const std::string kAfterName =
    " S 100 4242 100 34816 4242 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";

TEST(ParseStatTest, ReadsParentStateAndStartTime) {
  const auto stat = ParseStat("4242 (bash)" + kAfterName);
  ASSERT_TRUE(Succeeds(stat));
  EXPECT_EQ(stat->pid, 4242u);
  EXPECT_EQ(stat->parent, 100u);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->start_time, 987654u);
}

TEST(ParseStatTest, IsNotFooledByTheName) {
  const auto stat = ParseStat(
      "4242 (x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5 (y)" + kAfterName);
  ASSERT_TRUE(Succeeds(stat));
  EXPECT_EQ(stat->parent, 100u);
  EXPECT_EQ(stat->start_time, 987654u);
}

TEST(ParseStatTest, RejectsWhatIsTruncatedAnywhere) {
  const std::string whole = "4242 (bash)" + kAfterName;
  const size_t needed = whole.find("987654");
  for (size_t size = 0; size < needed; ++size) {
    EXPECT_TRUE(FailsWith(ParseStat(whole.substr(0, size)),
                          ErrorCode::kPeerIdentityUnknown))
        << size;
  }
}

TEST(ParseStatTest, RejectsNumbersThatAreNone) {
  EXPECT_TRUE(FailsWith(ParseStat("42x (a)" + kAfterName),
                        ErrorCode::kPeerIdentityUnknown));
  EXPECT_TRUE(FailsWith(ParseStat("99999999999 (a)" + kAfterName),
                        ErrorCode::kPeerIdentityUnknown));
}

TEST(ParseStatusTest, ReadsTheUser) {
  const auto user = ParseStatus(
      "Name:\tbash\nTracerPid:\t77\nUid:\t1000\t1001\t1002\t1003\nGid:"
      "\t5\t6\t7\t8\n");
  ASSERT_TRUE(Succeeds(user));
  EXPECT_EQ(user->real_uid, 1000u);
  EXPECT_EQ(user->effective_uid, 1001u);
  EXPECT_EQ(user->effective_gid, 6u);
  EXPECT_EQ(user->tracer, 77u);
}

TEST(ParseStatusTest, RejectsMissingLines) {
  const std::string tracer = "TracerPid:\t0\n";
  const std::string uid = "Uid:\t1\t1\t1\t1\n";
  const std::string gid = "Gid:\t1\t1\t1\t1\n";
  ASSERT_TRUE(Succeeds(ParseStatus(tracer + uid + gid)));
  for (const std::string& text :
       {tracer + uid, uid + gid, tracer + gid, tracer + "Uid:\t1\t1\t1\n" + gid,
        tracer + "Uid:\t1\tx\t1\t1\n" + gid}) {
    EXPECT_TRUE(FailsWith(ParseStatus(text), ErrorCode::kPeerIdentityUnknown))
        << text;
  }
}

TEST(LoadsForeignCodeTest, LooksForWholeVariables) {
  using std::string_literals::operator""s;
  EXPECT_TRUE(LoadsForeignCode("A=1\0LD_PRELOAD=/x.so\0B=2\0"s));
  EXPECT_TRUE(LoadsForeignCode("LD_AUDIT=/x.so"s));
  EXPECT_FALSE(LoadsForeignCode("A=LD_PRELOAD=/x.so\0LD_PRELOAD=\0"s));
  EXPECT_FALSE(LoadsForeignCode(""));
}

TEST(ParseCgroupTest, ReadsTheSystemUnit) {
  const auto cgroup = ParseCgroup("0::/system.slice/sshd.service\n");
  EXPECT_EQ(cgroup.unit, "sshd.service");
  EXPECT_EQ(cgroup.user_unit, "");
  EXPECT_EQ(cgroup.container_id, "");
}

// A user names the units of their own manager as they like.
TEST(ParseCgroupTest, KeepsUserUnitsApartFromSystemUnits) {
  const auto cgroup = ParseCgroup(
      "0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
      "sshd.service\n");
  EXPECT_EQ(cgroup.unit, "user@1000.service");
  EXPECT_EQ(cgroup.user_unit, "sshd.service");
}

TEST(ParseCgroupTest, ReadsContainerIdsOfTheCommonEngines) {
  const std::string id(64, 'a');
  for (const std::string& line :
       {"0::/system.slice/docker-" + id + ".scope\n",
        "0::/kubepods.slice/cri-containerd-" + id + ".scope\n",
        "12:pids:/x\n1:name=systemd:/docker/" + id + "\n",
        "0::/machine.slice/libpod-" + id + ".scope/container\n"}) {
    EXPECT_EQ(ParseCgroup(line).container_id, id) << line;
  }
  EXPECT_EQ(ParseCgroup("0::/x-" + id + "b.scope").container_id, "");
  EXPECT_EQ(ParseCgroup("0::/x-" + id.substr(1) + ".scope").container_id, "");
}

TEST(ParseCgroupTest, DropsUnitsThatAreNoText) {
  EXPECT_EQ(ParseCgroup("0::/a\x1b[31m.service\n").unit, "");
  EXPECT_EQ(ParseCgroup("0::/" + std::string(300, 'a') + ".service").unit, "");
  EXPECT_EQ(ParseCgroup("").unit, "");
  EXPECT_EQ(ParseCgroup("no colons").unit, "");
}

TEST(ParseArgumentsTest, SplitsAtZerosAndStopsInTime) {
  using Words = std::vector<std::string>;
  const auto parse = [](std::string_view text) {
    return ParseArguments(text, 3);
  };
  EXPECT_EQ(parse({"a\0b c\0\0", 7}), (Words{"a", "b c", ""}));
  EXPECT_EQ(parse({"a\0b\0", 4}), (Words{"a", "b"}));
  EXPECT_EQ(parse({"a\0b\0c\0d\0", 8}), (Words{"a", "b", "c"}));
  EXPECT_EQ(parse("no end"), Words{"no end"});
  EXPECT_EQ(parse(""), Words{});
}

}  // namespace
}  // namespace countersign::platform
