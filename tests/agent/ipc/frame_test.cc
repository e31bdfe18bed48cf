#include "agent/ipc/frame.h"

#include <gtest/gtest.h>

#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

Bytes Frames(std::initializer_list<std::string_view> payloads) {
  Bytes stream;
  for (const std::string_view payload : payloads) {
    AppendFrame(AsBytes(payload), stream);
  }
  return stream;
}

// All payloads that come out when `stream` arrives in pieces of `piece` bytes.
std::vector<std::string> DecodeInPieces(const Bytes& stream, size_t piece) {
  FrameDecoder decoder(1024);
  std::vector<std::string> payloads;
  for (size_t at = 0; at < stream.size(); at += piece) {
    decoder.Feed(
        ByteSpan(stream).subspan(at, std::min(piece, stream.size() - at)));
    while (true) {
      const auto payload = decoder.Next();
      if (!payload.has_value()) return {"error"};
      if (!payload->has_value()) break;
      payloads.push_back(AsString(**payload));
    }
  }
  if (decoder.mid_frame()) payloads.push_back("cut");
  return payloads;
}

TEST(FrameTest, IsALittleEndianLengthAndThePayload) {
  EXPECT_EQ(ToHex(Frames({"abc"})), "03000000616263");
  EXPECT_EQ(ToHex(Frames({std::string(258, 'x')})).substr(0, 8), "02010000");
}

TEST(FrameDecoderTest, FindsFramesHoweverTheStreamIsCut) {
  const Bytes stream = Frames({"a", "bcd", std::string(1024, 'e'), "f"});
  const std::vector<std::string> expected = {"a", "bcd", std::string(1024, 'e'),
                                             "f"};
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    ASSERT_EQ(DecodeInPieces(stream, piece), expected) << piece;
  }
}

TEST(FrameDecoderTest, KnowsThatAFrameIsCut) {
  const Bytes stream = Frames({"a", "bcd"});
  for (size_t size = 6; size < stream.size(); ++size) {
    const Bytes cut(stream.begin(), stream.begin() + static_cast<long>(size));
    EXPECT_EQ(DecodeInPieces(cut, 3), (std::vector<std::string>{"a", "cut"}))
        << size;
  }
}

TEST(FrameDecoderTest, RejectsALengthOverTheBoundWithItsFourthByte) {
  FrameDecoder decoder(1024);
  decoder.Feed(Bytes{0x01, 0x04, 0x00});
  ASSERT_TRUE(decoder.Next().has_value());
  decoder.Feed(Bytes{0x00});
  EXPECT_TRUE(FailsWith(decoder.Next(), ErrorCode::kTooLarge));
}

TEST(FrameDecoderTest, RejectsTheLargestLength) {
  FrameDecoder decoder(kMaxUplinkFrame);
  decoder.Feed(Bytes{0xff, 0xff, 0xff, 0xff});
  EXPECT_TRUE(FailsWith(decoder.Next(), ErrorCode::kTooLarge));
}

TEST(FrameDecoderTest, RejectsAnEmptyFrame) {
  FrameDecoder decoder(1024);
  decoder.Feed(Bytes{0, 0, 0, 0});
  EXPECT_TRUE(FailsWith(decoder.Next(), ErrorCode::kFrameMalformed));
}

TEST(FrameDecoderTest, GivesOutFramesInFrontOfABadOne) {
  Bytes stream = Frames({"good"});
  stream.insert(stream.end(), {0xff, 0xff, 0xff, 0x7f});
  FrameDecoder decoder(1024);
  decoder.Feed(stream);
  const auto good = decoder.Next();
  ASSERT_TRUE(good.has_value() && good->has_value());
  EXPECT_EQ(AsString(**good), "good");
  EXPECT_TRUE(FailsWith(decoder.Next(), ErrorCode::kTooLarge));
}

}  // namespace
}  // namespace countersign::agent
