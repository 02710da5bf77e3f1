namespace Whatsit.Hostile;

/// <summary>One input, and what may be answered to it.</summary>
/// <param name="Name">As the report says it.</param>
/// <param name="SendAsync">Sends it, and gives the status of the answer; <see cref="Wire.Closed"/> where there was none.</param>
/// <param name="Allowed">Every other status is wrong.</param>
internal sealed record Attack(string Name, Func<Target, Task<int>> SendAsync, params int[] Allowed)
{
    /// <summary>What a picture that nobody should have to decode may get: refused by size or kind, unreadable, or answered all the same.</summary>
    public static readonly int[] AnyPicture = [200, 413, 415, 422];

    /// <summary>A picture as the body. The file is made when it is sent: all together are gigabytes.</summary>
    public static Attack Picture(string name, Func<byte[]> file, params int[] allowed) =>
        new(name, target => target.PredictAsync("", file()), allowed.Length == 0 ? AnyPicture : allowed);

    /// <summary>A picture that must not be answered.</summary>
    public static Attack Refused(string name, Func<byte[]> file) => Picture(name, file, 413, 415, 422);

    /// <summary>A request's own bytes after the first line and the host.</summary>
    public static Attack Body(string name, string headers, Func<byte[]> body, params int[] allowed) =>
        new(name, target => target.PredictAsync(headers, body()), allowed);
}

/// <summary>Inputs of one kind.</summary>
/// <param name="Name">As the table says it.</param>
/// <param name="Attacks">They come one at a time.</param>
/// <param name="Settings">What the server needs besides, if it does; it is then one of its own.</param>
internal sealed record Family(string Name, IEnumerable<Attack> Attacks, IReadOnlyDictionary<string, string>? Settings = null);
