namespace Whatsit.Hostile.Inputs;

/// <summary>Clients that are slow, many, or gone: what counts is that others are answered meanwhile.</summary>
internal static class Connections
{
    /// <summary>Each holds its connections until a small photo was answered beside them, whose status counts.</summary>
    public static IEnumerable<Attack> Attacks(byte[] photo) =>
    [
        Beside("300 connections that say nothing", photo, 300, _ => Task.CompletedTask),
        Beside("300 heads that do not end", photo, 300, wire => wire.SendTextAsync("POST /predict HTTP/1.1\r\nHost: a\r\nA: ")),
        Beside("100 uploads that announce 20 MB and send 64 KB", photo, 100, wire => wire.SendAsync((byte[])[.. Announced(20_000_000), .. new byte[64 << 10]])),
        Beside("7 uploads that stop before their last byte", photo, 7, wire => wire.SendAsync((byte[])[.. Announced(19_000_000), .. new byte[18_999_999]])),
        Beside("100 forms that stop within a header", photo, 100, wire => wire.SendAsync(
            (byte[])[.. Announced(400_000_000, "Content-Type: multipart/form-data; boundary=x\r\n"), .. "--x\r\nContent-Disposition: "u8, .. new byte[4000]])),
        Beside("200 photos whose senders have left", photo, 200, async wire =>
        {
            await wire.SendAsync((byte[])[.. Announced(photo.Length), .. photo]);
            wire.Dispose();
        }),
        Beside("100 requests on each of 20 connections, at once", photo, 20, wire =>
            wire.SendTextAsync(string.Concat(Enumerable.Repeat("GET /models HTTP/1.1\r\nHost: a\r\n\r\n", 100)))),
        Beside("50 large answers that nobody reads", photo, 50, wire =>
            wire.SendTextAsync(string.Concat(Enumerable.Repeat("GET /models/grocery/files/model.onnx HTTP/1.1\r\nHost: a\r\n\r\n", 20)))),
    ];

    private static byte[] Announced(int length, string headers = "") =>
        System.Text.Encoding.ASCII.GetBytes($"POST /predict HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n");

    private static Attack Beside(string name, byte[] photo, int count, Func<Wire, Task> begin) => new(
        name,
        async target =>
        {
            var wires = new List<Wire>();
            try
            {
                for (var i = 0; i < count; i++)
                {
                    var wire = await Wire.ConnectAsync(target.Port);
                    wires.Add(wire);
                    await begin(wire);
                }

                return await target.PredictAsync("", photo);
            }
            finally
            {
                wires.ForEach(wire => wire.Dispose());
            }
        },
        200);
}
