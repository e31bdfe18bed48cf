#include "attest/base/uri.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign {
namespace {

std::string Target(const std::string& text) {
  const auto uri = ParseUri(text);
  return uri ? NormalizedTarget(*uri) : "refused";
}

TEST(ParseUriTest, SplitsAUriIntoItsParts) {
  const auto uri = ParseUri("HTTPS://a.example:8443/p/q?x=1?y#f?g");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->scheme, "https");
  EXPECT_EQ(uri->authority, "a.example:8443");
  EXPECT_EQ(uri->path, "/p/q");
  EXPECT_EQ(uri->query, "x=1?y");
  EXPECT_EQ(uri->fragment, "f?g");
}

// RFC 3986 §1.1.2.
TEST(ParseUriTest, AcceptsTheExamplesOfTheRfc) {
  for (const char* text :
       {"ftp://ftp.is.co.za/rfc/rfc1808.txt",
        "http://www.ietf.org/rfc/rfc2396.txt",
        "ldap://[2001:db8::7]/c=GB?objectClass?one",
        "mailto:John.Doe@example.com", "news:comp.infosystems.www.servers.unix",
        "tel:+1-816-555-1212", "telnet://192.0.2.16:80/",
        "urn:oasis:names:specification:docbook:dtd:xml:4.1.2"}) {
    EXPECT_TRUE(ParseUri(text)) << text;
  }
}

TEST(ParseUriTest, DistinguishesNoQueryFromAnEmptyOne) {
  EXPECT_FALSE(ParseUri("x:y")->query);
  EXPECT_EQ(ParseUri("x:y?")->query, "");
}

TEST(ParseUriTest, RejectsWhatIsNotAStrictAbsoluteUri) {
  for (const std::string& text : {std::string(),
                                  std::string("a"),
                                  std::string("/a"),
                                  std::string(":a"),
                                  std::string("a:"),
                                  std::string("1a:b"),
                                  std::string("a b:c"),
                                  std::string("http:"),
                                  std::string("http:/a"),
                                  std::string("http:///a"),
                                  std::string("http://:80/"),
                                  std::string("http://a:b/"),
                                  std::string("http://a:65536/"),
                                  std::string("http://a:080808/"),
                                  std::string("http://u@a/"),
                                  std::string("http://a b/"),
                                  std::string("http://a/\x01"),
                                  std::string("http://a/\x7f"),
                                  std::string("http://a/\xc3\xa9"),
                                  std::string("http://a/%"),
                                  std::string("http://a/%4"),
                                  std::string("http://a/%4g"),
                                  std::string("http://a/#b#c"),
                                  std::string("http://a/[b]"),
                                  std::string("http://[::1/"),
                                  std::string("http://[]/"),
                                  std::string("http://[x]/"),
                                  std::string("http://a\\b/"),
                                  std::string("http://a/<b>"),
                                  std::string("http://a/\0", 10)}) {
    EXPECT_FALSE(ParseUri(text)) << text;
  }
}

// RFC 3986 §6.2.2 and §6.2.3.
TEST(NormalizedTargetTest, GivesOneTextForEquivalentUris) {
  for (const char* text :
       {"https://server.example/path", "HTTPS://Server.EXAMPLE/path",
        "https://server.example:443/path", "https://server.example:/path",
        "https://server.example/path?query", "https://server.example/path#f",
        "https://server.example/%70ath", "https://s%45rver.example/path",
        "https://server.example/a/../path", "https://server.example/./path"}) {
    EXPECT_EQ(Target(text), "https://server.example/path") << text;
  }
  EXPECT_EQ(Target("http://a"), "http://a/");
  EXPECT_EQ(Target("http://a:80?x"), "http://a/");
  EXPECT_EQ(Target("http://a/%c3%a9"), "http://a/%C3%A9");
}

TEST(NormalizedTargetTest, KeepsDifferentUrisApart) {
  for (const char* text :
       {"http://server.example/path", "https://server.example:8443/path",
        "https://server.example/Path", "https://server.example/path/",
        "https://server.example//path", "https://server.example/p%2Fath",
        "https://other.example/path", "https://server.example.evil/path"}) {
    EXPECT_NE(Target(text), "https://server.example/path") << text;
  }
}

// RFC 3986 §5.2.4.
TEST(NormalizedTargetTest, RemovesDotSegments) {
  EXPECT_EQ(Target("x://h/a/b/c/./../../g"), "x://h/a/g");
  EXPECT_EQ(Target("x://h/../../a"), "x://h/a");
  EXPECT_EQ(Target("x://h/a/.."), "x://h/");
  EXPECT_EQ(Target("x://h/a/."), "x://h/a/");
  EXPECT_EQ(Target("x://h/%2e%2e/a"), "x://h/a");
  EXPECT_EQ(Target("x://h/a//../b"), "x://h/a/b");
  EXPECT_EQ(Target("x://h/..."), "x://h/...");
}

}  // namespace
}  // namespace countersign
