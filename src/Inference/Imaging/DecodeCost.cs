namespace Whatsit.Inference.Imaging;

/// <summary>What decoding a picture will cost at most, estimated from its header.</summary>
/// <param name="Bytes">Memory that decoder and picture hold together.</param>
/// <param name="IsLong">Whether it takes longer than about 100 ms of a processor: other pictures should not have to wait behind it.</param>
/// <param name="PictureBytes">How many of them are the picture's pixels.</param>
public readonly record struct DecodeCost(long Bytes, bool IsLong, long PictureBytes = 0);
