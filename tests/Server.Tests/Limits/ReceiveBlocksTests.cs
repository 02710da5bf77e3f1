using System.Buffers;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Tests.Limits;

public sealed class ReceiveBlocksTests
{
    [Fact]
    public void A_block_is_large_until_there_are_as_many_as_may_be()
    {
        using var blocks = new ReceiveBlocks();
        IMemoryOwner<byte>[] large = [.. Enumerable.Range(0, ReceiveBlocks.Most).Select(_ => blocks.Rent())];
        Assert.All(large, block => Assert.Equal(ReceiveBlocks.Large, block.Memory.Length));

        using (var small = blocks.Rent(ReceiveBlocks.Small))
        {
            Assert.Equal(ReceiveBlocks.Small, small.Memory.Length);
        }

        large[3].Dispose();
        Assert.Same(large[3], blocks.Rent());
        Assert.Equal((ReceiveBlocks.Most, ReceiveBlocks.Most), blocks.Blocks);
    }

    [Fact]
    public async Task Connections_receive_into_them_and_hold_one_at_most_while_they_wait()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var blocks = new ReceiveBlocks();
        var most = 0;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(kestrel => kestrel.UseRequestLimits());
        // As the server does it.
        builder.Services.AddSingleton<IMemoryPoolFactory<byte>>(blocks);
        builder.Services.AddSingleton(new LimitsOptions());
        builder.Services.AddSingleton<ConnectionLimit>();
        builder.Services.AddSingleton<IConnectionListenerFactory, ConnectionLimit.Transport>();
        await using var app = builder.Build();
        app.MapPost("/", async (HttpRequest request) =>
        {
            var buffer = new byte[100_000];
            while (await request.Body.ReadAsync(buffer, cancellationToken) > 0)
            {
                most = Math.Max(most, blocks.Blocks.Used);
            }
        });
        await app.StartAsync(cancellationToken);
        using var client = new HttpClient(new SocketsHttpHandler { PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan })
        {
            BaseAddress = new Uri(app.Urls.First()),
        };
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            using var answer = await client.PostAsync("/", new ByteArrayContent(new byte[1_000_000]), cancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }));

        Assert.InRange(most, 1, ReceiveBlocks.Most);
        // The answer is out a moment before its block is back. A connection that was woken once more, for nothing, keeps one to receive into; no other does.
        SpinWait.SpinUntil(() => blocks.Blocks.Used < 20, TimeSpan.FromSeconds(10));
        Assert.InRange(blocks.Blocks.Used, 0, 20);
        Assert.InRange(blocks.Blocks.All, 1, ReceiveBlocks.Most);
    }
}
