using System.IO.Compression;
using System.Text;

namespace Whatsit.Hostile.Inputs;

/// <summary>Bodies and heads that cost more than they should, or that are no HTTP.</summary>
internal static class Requests
{
    private const string Form = "Content-Type: multipart/form-data; boundary=x", Json = "Content-Type: application/json";

    private static readonly int[] Refused = [400, 413, 415, 422];

    public static IEnumerable<Attack> Bodies =>
    [
        Attack.Body("a part header of 100 MB", Form, () => [.. "--x\r\nContent-Disposition: "u8, .. Letters(100 << 20)], Refused),
        Attack.Body("a million headers of a part", Form, () => Text("--x\r\n", "A: b\r\n", 1_000_000), Refused),
        Attack.Body("a million parts", Form, () => Text("", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n", 1_000_000), Refused),
        Attack.Body("a field of 300 MB", Form, () => [.. "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"u8, .. Letters(300 << 20), .. "\r\n--x--"u8],
            Refused),
        Attack.Body("40 MB of what might be boundaries", Form,
            () => Text("--x\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\n", "\r\n--", 10_000_000), Refused),
        Attack.Body("a body that is nothing but a boundary", Form, () => Text("", "--x", 5_000_000), Refused),
        Attack.Body("33 pictures that are none", Form,
            () => Text("", "--x\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\nhello\r\n", 33), Refused),
        Attack.Body("JSON, 27 MB of brackets", Json, () => Text("{\"a\":", "[", 27_000_000), Refused),
        Attack.Body("JSON, four million members", Json, () => Text("{", "\"a\":1,", 4_000_000), Refused),
        Attack.Body("JSON, a name of 27 MB", Json, () => [.. "{\""u8, .. Letters(27_000_000), .. "\":1}"u8], Refused),
        Attack.Body("JSON, a model of 27 MB", Json, () => [.. "{\"image\":\"AAAA\",\"model\":\""u8, .. Letters(27_000_000), .. "\"}"u8], [.. Refused, 404]),
        Attack.Body("JSON, 27 MB of escapes", Json, () => [.. Text("{\"image\":\"", @"\u0041", 4_500_000), .. "\"}"u8], Refused),
        Attack.Body("JSON, a million models", Json, () => [.. Text("{", "\"model\":\"a\",", 1_000_000), .. "\"image\":\"AAAA\"}"u8], [.. Refused, 404]),
        Attack.Body("base64, 27 MB of line ends", "Content-Type: text/plain", () => Text("iVBORw0KGgoAAAANSUhEUgAA", "\r\n", 13_000_000), Refused),
        Attack.Body("base64, 27 MB of spaces", "Content-Type: text/plain", () => Text("iVBORw0KGgoAAAANSUhEUgAA", " A", 13_000_000), Refused),
        Attack.Body("a form of a million fields", "Content-Type: application/x-www-form-urlencoded", () => Text("a=b", "&a=b", 1_000_000), Refused),
        Attack.Body("a form, 27 MB of percent signs", "Content-Type: application/x-www-form-urlencoded", () => Text("image=", "%41", 9_000_000), Refused),
    ];

    public static IEnumerable<Attack> Packed =>
    [
        .. ((string[])["gzip", "deflate", "br"]).SelectMany(encoding => (Attack[])
        [
            Attack.Body($"1 GB of zeros in {encoding}", $"{Form}\r\nContent-Encoding: {encoding}", () => Pack(encoding, [], 1 << 30), Refused),
            Attack.Body($"a field of 850 MB in {encoding}", $"{Form}\r\nContent-Encoding: {encoding}",
                () => Pack(encoding, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"u8, 850_000_000), Refused),
        ]),
        Attack.Body("850 MB in gzip in gzip", $"{Form}\r\nContent-Encoding: gzip, gzip",
            () => Pack("gzip", Pack("gzip", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"u8, 850_000_000), 0), Refused),
        .. ((string[])["gzip", "deflate", "br"]).Select(encoding => Attack.Body($"a chain of 3,000 times {encoding}",
            $"{Json}\r\nContent-Encoding: {string.Join(",", Enumerable.Repeat(encoding, 3000))}", () => Letters(100), Refused)),
        Attack.Body("an encoding that is none", "Content-Encoding: zstd", () => Letters(100), Refused),
    ];

    public static IEnumerable<Attack> Heads =>
    [
        Head("a header of 100 KB", $"GET / HTTP/1.1\r\nHost: a\r\nA: {new string('a', 100_000)}\r\n\r\n", 400, 431),
        Head("a thousand headers", $"GET / HTTP/1.1\r\nHost: a\r\n{string.Concat(Enumerable.Repeat("A: b\r\n", 1000))}\r\n", 400, 431),
        Head("a path of 100 KB", $"GET /{new string('a', 100_000)} HTTP/1.1\r\nHost: a\r\n\r\n", 400, 414),
        Head("no version", "GET /\r\n\r\n", 400),
        Head("another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
        Head("two lengths", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        Head("a length and chunks", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        Head("a length below zero", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", 400),
        Head("a length of 2⁶³", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\nhello", 400),
        Head("a length of 100 GB", "POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000000000\r\n\r\n", 413),
        Head("a chunk of 2⁶⁴ − 1", "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nhello\r\n", 400),
        Head("a coding that is none", "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: cow\r\n\r\nhello", 400, 501),
        Head("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        Head("a method of letters without end", new string('A', 50_000), 400, 414),
        Head("a topK of 2⁶³", "POST /predict?topK=9223372036854775808 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400, 415),
        Head("a model of dots", "POST /predict?model=../../etc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 404),
        .. ((string[])
            ["..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//etc/passwd", "..\\..\\etc\\passwd", "%00", "labels.txt%00.json", "manifest.json/"])
            .Select(path => Head($"the file {path} of a model", $"GET /models/grocery/files/{path} HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404)),
        .. ((string[])["/assets/model_tfjs/..%2f..%2fappsettings.json", "/..%2fappsettings.json", "/%2e%2e/appsettings.json", "//etc/passwd"])
            .Select(path => Head($"the page's file {path}", $"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", 400, 404)),
    ];

    private static Attack Head(string name, string head, params int[] allowed) =>
        new(name, target => target.AskAsync(head.Replace("Host: a\r\n", "Host: a\r\nConnection: close\r\n", StringComparison.Ordinal)), allowed);

    private static byte[] Letters(int length) => Enumerable.Repeat((byte)'a', length).ToArray();

    private static byte[] Text(string start, string repeated, int times)
    {
        var unit = Encoding.Latin1.GetBytes(repeated);
        var all = new byte[start.Length + (unit.Length * times)];
        Encoding.Latin1.GetBytes(start, all);
        for (var at = start.Length; at < all.Length; at += unit.Length)
        {
            unit.CopyTo(all, at);
        }

        return all;
    }

    /// <summary>Some bytes, and zeros behind them.</summary>
    private static byte[] Pack(string encoding, ReadOnlySpan<byte> start, long zeros)
    {
        using var packed = new MemoryStream();
        using (Stream packer = encoding switch
        {
            "gzip" => new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            "br" => new BrotliStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            _ => new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true),
        })
        {
            packer.Write(start);
            var block = new byte[1 << 20];
            for (var left = zeros; left > 0; left -= block.Length)
            {
                packer.Write(block, 0, (int)Math.Min(left, block.Length));
            }
        }

        return packed.ToArray();
    }
}
