namespace Whatsit.Inference.Imaging;

/// <summary>Something that whoever sent a picture should know, although it could be answered.</summary>
/// <param name="Code">Stable, for programs: <c>image-truncated</c>, <c>image-end-missing</c>, <c>color-profile-ignored</c>.</param>
/// <param name="Message">One sentence, for people.</param>
public sealed record ImageWarning(string Code, string Message);
