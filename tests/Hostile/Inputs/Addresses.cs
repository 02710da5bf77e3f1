using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Whatsit.Hostile.Inputs;

/// <summary>Pictures by address, from a site of ours that does what sites should not; and addresses that nobody should have a server ask.</summary>
internal sealed class Addresses : IDisposable
{
    private readonly TcpListener _site = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ends = new();
    private readonly byte[] _photo;

    public Addresses(byte[] photo)
    {
        _photo = photo;
        _site.Start();
        _ = AcceptAsync();
    }

    private int Port => ((IPEndPoint)_site.LocalEndpoint).Port;

    /// <summary>A server that asks our site.</summary>
    public Dictionary<string, string> Trusting => new()
    {
        ["FetchByUrl__Enabled"] = "true",
        ["FetchByUrl__AllowPrivateAddresses"] = "true",
        ["FetchByUrl__Ports"] = $"80,443,{Port}",
        ["FetchByUrl__TimeoutSeconds"] = "1.5",
    };

    /// <summary>A server as strangers find it.</summary>
    public Dictionary<string, string> Careful => new()
    {
        ["FetchByUrl__Enabled"] = "true",
        ["FetchByUrl__Ports"] = $"80,443,{Port}",
        ["FetchByUrl__TimeoutSeconds"] = "1.5",
    };

    /// <summary>What a site may answer.</summary>
    public IEnumerable<Attack> Sites =>
    [
        Fetch("a photo", "photo", 200),
        Fetch("nothing, ever", "silent", 502),
        Fetch("a head that does not end", "head", 502),
        Fetch("a head of 10 MB", "long-head", 502),
        Fetch("a byte each 100 ms", "drip", 502),
        Fetch("zeros without end", "endless", 413, 502),
        Fetch("zeros without end, in chunks", "chunks", 413, 502),
        Fetch("a length of 100 GB", "announced", 413, 502),
        Fetch("a length below zero", "negative", 415, 502),
        Fetch("half of what it announced", "half", 502),
        Fetch("a redirect to itself", "loop", 502),
        Fetch("a redirect that is as long as it may be", "far", 400, 502),
        Fetch("a redirect to a file", "to-file", 400),
        Fetch("a redirect to another port", "to-port", 400),
        Fetch("a redirect to the server's own models", "to-gopher", 400),
        Fetch("a page instead of a picture", "page", 415),
        Fetch("a page that says it is a picture", "false-picture", 415),
        Fetch("a packed photo", "packed", 415, 422),
        Fetch("another protocol", "ssh", 502),
        Fetch("a status that is none", "status", 502),
        Fetch("an error with a long page", "error", 502),
        Fetch("a switch of protocols", "switch", 502),
        Many("200 at once that hear nothing", 200, _ => $"http://127.0.0.1:{Port}/silent"),
        Many("200 names that nobody knows", 200, at => $"http://n{at}.invalid/"),
    ];

    /// <summary>What is not public, however it is written.</summary>
    public IEnumerable<Attack> Private =>
    [
        .. ((string[])
        [
            "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0",
            "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254",
            "100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1",
            "255.255.255.255", "metadata.google.internal",
        ]).Select(host => Address($"the host {host}", $"http://{host}:{Port}/photo", 400)),
        .. ((string[])
        [
            "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_", "http://user@127.0.0.1/", "http://", "http://[", "//127.0.0.1/",
            "http://127.0.0.1:99999/",
        ])
            .Select(address => Address($"the address {address}", address, 400)),
        Address("a port of services", "http://127.0.0.1:6379/", 400),
        Address("an address of 100 KB", $"http://{new string('a', 100_000)}/", 400),
    ];

    public void Dispose()
    {
        _ends.Cancel();
        _site.Dispose();
        _ends.Dispose();
    }

    private Attack Fetch(string name, string path, params int[] allowed) => Address(name, $"http://127.0.0.1:{Port}/{path}", allowed);

    private static Attack Address(string name, string address, params int[] allowed) => new(name, target => AskAsync(target, address), allowed);

    private static Task<int> AskAsync(Target target, string address) =>
        target.PredictAsync("Content-Type: application/json", Encoding.UTF8.GetBytes($"{{\"url\":\"{address}\"}}"));

    /// <summary>Many at once; the status is that of a photo beside them, or the worst of theirs where one is not what it should be.</summary>
    private Attack Many(string name, int count, Func<int, string> address) => new(
        name,
        async target =>
        {
            var asked = Enumerable.Range(0, count).Select(at => AskAsync(target, address(at))).ToList();
            var beside = await target.PredictAsync("", _photo);
            var statuses = await Task.WhenAll(asked);
            return statuses.FirstOrDefault(status => status is not (400 or 429 or 502), beside);
        },
        200);

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await _site.AcceptSocketAsync(_ends.Token);
                _ = AnswerAsync(socket);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            var head = new byte[4096];
            var read = await stream.ReadAsync(head, _ends.Token);
            var path = Encoding.ASCII.GetString(head, 0, read).Split(' ') is [_, ['/', .. var asked], ..] ? asked : "";
            await WriteAsync(stream, path);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It has heard enough.
        }
    }

    private async Task WriteAsync(NetworkStream to, string path)
    {
        const string Ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
        var zeros = new byte[1 << 16];
        switch (path)
        {
            case "photo":
                await Text($"{Ok}Content-Length: {_photo.Length}\r\n\r\n");
                await to.WriteAsync(_photo, _ends.Token);
                break;
            case "silent":
                await Task.Delay(Timeout.Infinite, _ends.Token);
                break;
            case "head":
                await Text(Ok);
                await Task.Delay(Timeout.Infinite, _ends.Token);
                break;
            case "long-head":
                await Text($"{Ok}A: {new string('a', 10_000_000)}\r\n\r\n");
                break;
            case "drip":
                await Text($"{Ok}Content-Length: 100000\r\n\r\n");
                for (var sent = 0; sent < 100_000; sent++)
                {
                    await to.WriteAsync(zeros.AsMemory(0, 1), _ends.Token);
                    await Task.Delay(100, _ends.Token);
                }

                break;
            case "endless":
                await Text($"{Ok}\r\n");
                while (true)
                {
                    await to.WriteAsync(zeros, _ends.Token);
                }

            case "chunks":
                await Text($"{Ok}Transfer-Encoding: chunked\r\n\r\n");
                while (true)
                {
                    await Text("10000\r\n");
                    await to.WriteAsync(zeros, _ends.Token);
                    await Text("\r\n");
                }

            case "announced":
                await Text($"{Ok}Content-Length: 100000000000\r\n\r\n");
                await to.WriteAsync(zeros, _ends.Token);
                await Task.Delay(Timeout.Infinite, _ends.Token);
                break;
            case "negative":
                await Text($"{Ok}Content-Length: -5\r\n\r\nhello");
                break;
            case "half":
                await Text($"{Ok}Content-Length: {2 * _photo.Length}\r\n\r\n");
                await to.WriteAsync(_photo, _ends.Token);
                break;
            case "packed":
                await Text($"{Ok}Content-Encoding: gzip\r\n\r\n\u001f\u008b\u0008");
                break;
            case "ssh":
                await Text("SSH-2.0-OpenSSH_9.6\r\n");
                break;
            case "status":
                await Text("HTTP/1.1 999999 What\r\n\r\n");
                break;
            case "switch":
                await Text("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
                break;
            case "error":
                await Text($"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{new string('a', 1_000_000)}");
                break;
            case "page" or "false-picture":
                await Text($"{Ok}Content-Type: {(path == "page" ? "text/html" : "image/jpeg")}\r\n\r\n<html><body>Hello, this is no picture.</body></html>");
                break;
            default:
                var target = path switch
                {
                    "to-file" => "file:///etc/passwd",
                    "to-port" => "http://127.0.0.1:6379/",
                    "to-gopher" => "gopher://127.0.0.1/models",
                    "far" => $"http://{new string('a', 10_000)}/",
                    _ => $"/{path}",
                };
                await Text($"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                break;
        }

        Task Text(string text) => to.WriteAsync(Encoding.Latin1.GetBytes(text), _ends.Token).AsTask();
    }
}
