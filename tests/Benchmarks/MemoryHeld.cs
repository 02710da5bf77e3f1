using System.Net;
using System.Net.Sockets;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;

namespace Whatsit.Benchmarks;

/// <summary>What a server holds for connections that do nothing, and what a burst leaves behind. Resident memory in MB.</summary>
/// <param name="ReadyMb">After some requests.</param>
/// <param name="IdleMb">With connections that have each asked once and now wait.</param>
/// <param name="BeforeMb">Before the burst, those connections closed.</param>
/// <param name="BurstMb">The most that was seen while large uploads came, all at once.</param>
/// <param name="Answered">How many of these got an answer; the others were told to try again.</param>
/// <param name="AfterMb">Half a minute later.</param>
internal sealed record MemoryHeld(double ReadyMb, double IdleMb, double BeforeMb, double BurstMb, int Answered, double AfterMb)
{
    /// <summary>Connections that do nothing.</summary>
    public const int IdleConnections = 1000;

    /// <summary>Uploads at once.</summary>
    public const int Uploads = 64;

    /// <summary>Bytes of each, photo and padding; the uploads that a server takes at once by default are six of them.</summary>
    public const int UploadBytes = 20 * 1024 * 1024;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    public static async Task<MemoryHeld> MeasureAsync(string folder, string model, string variant, Photo photo)
    {
        using var server = await Starter.WhatsitAsync(folder, Report.Us, model, variant);
        await ClosedLoop.RunAsync(server, photo, connections: 8, count: 40);
        await Task.Delay(Pause);
        var ready = server.MemoryMb;

        var idle = Enumerable.Range(0, IdleConnections).Select(_ => new HttpConnection(server.Port)).ToArray();
        var ask = HttpConnection.Get("/health/live");
        foreach (var connection in idle)
        {
            await connection.SendAsync(ask);
        }

        await Task.Delay(Pause);
        var withIdle = server.MemoryMb;
        Array.ForEach(idle, connection => connection.Dispose());
        await Task.Delay(Pause);

        var before = server.MemoryMb;
        var request = HttpConnection.Post(server.Path, [.. photo.Files[0], .. new byte[UploadBytes - photo.Files[0].Length]]);
        var burst = Task.WhenAll(Enumerable.Range(0, Uploads).Select(_ => Task.Run(() => SendAsync(server.Port, request))));
        var most = before;
        while (!burst.IsCompleted)
        {
            most = Math.Max(most, server.MemoryMb);
            await Task.Delay(20);
        }

        await Task.Delay(Pause);
        return new(ready, withIdle, before, most, (await burst).Count(status => status == (int)HttpStatusCode.OK), server.MemoryMb);
    }

    private static async Task<int> SendAsync(int port, byte[] request)
    {
        using var connection = new HttpConnection(port);
        try
        {
            return await connection.SendAsync(request);
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            return 0;
        }
    }
}
