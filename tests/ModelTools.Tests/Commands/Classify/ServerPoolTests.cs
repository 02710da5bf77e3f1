using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Whatsit.Inference;
using Whatsit.ModelTools.Commands.Classify;

namespace Whatsit.ModelTools.Tests.Commands.Classify;

/// <summary>Servers that do as they are told, and a clock on which waiting takes no time.</summary>
public sealed class ServerPoolTests
{
    private const string Answer =
        """
        {"model":"fruit","version":"1","variant":"fp32","predictions":[{"label":"pear","index":1,"confidence":0.5}],"abstained":false,
        "image":{"width":1,"height":2,"format":"png","bytes":3},"timing":{"decodeMs":1,"preprocessMs":1,"queueMs":1,"computeMs":1,"totalMs":4}}
        """;

    private readonly JumpingTime _time = new();
    private readonly ConcurrentQueue<(string Host, TimeSpan At)> _asked = new();

    [Fact]
    public async Task A_busy_server_is_left_alone_for_as_long_as_it_says()
    {
        var answers = 0;
        using var pool = Pool(["http://a"], (_, _) => Interlocked.Increment(ref answers) switch
        {
            1 => Refusal(HttpStatusCode.TooManyRequests, "{}", TimeSpan.FromSeconds(7)),
            2 => Refusal(HttpStatusCode.ServiceUnavailable, "{}", null),
            _ => Ok(),
        });

        Assert.Equal("pear", (await AskAsync(pool)).Predictions[0].Label);

        Assert.Equal([0, 7, 8], _asked.Select(asked => asked.At.TotalSeconds));
    }

    [Fact]
    public async Task While_one_is_busy_or_away_the_others_are_asked()
    {
        using var pool = Pool(["http://a", "http://b", "http://c/prefix/"], (host, _) => host switch
        {
            "a" => Refusal(HttpStatusCode.TooManyRequests, "{}", TimeSpan.FromHours(1)),
            "b" => throw new HttpRequestException("Connection refused"),
            _ => Ok(),
        });

        for (var photo = 0; photo < 20; photo++)
        {
            await AskAsync(pool);
        }

        Assert.Equal([0, 0, 20], pool.Answered.Select(server => server.Answered));
        Assert.InRange(_asked.Count, 20, 40);
        Assert.All(_asked, asked => Assert.True(asked.At < TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public async Task The_faster_server_gets_more()
    {
        // It answers at once, from when the other one has been asked on; that one answers when the first has answered 90.
        TaskCompletionSource asked = new(), slow = new();
        var fast = 0;
        using var pool = Pool(["http://fast", "http://slow"], async (host, _) =>
        {
            if (host == "slow")
            {
                asked.TrySetResult();
                await slow.Task;
                return await Ok();
            }

            await asked.Task;
            if (Interlocked.Increment(ref fast) == 90)
            {
                slow.SetResult();
            }

            return await Ok();
        });

        await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => AskAsync(pool))));

        Assert.Equal(100, pool.Answered.Sum(server => server.Answered));
        Assert.InRange(pool.Answered[0].Answered, 90, 99);
    }

    [Fact]
    public async Task Where_no_server_answers_any_more_the_run_stops_and_says_why()
    {
        using var pool = Pool(["http://a", "http://b"], (_, _) => throw new HttpRequestException("Connection refused"));
        var stopped = await Assert.ThrowsAsync<RunStoppedException>(() => AskAsync(pool));
        Assert.Equal("No server answers any more: http://a/ (Connection refused); http://b/ (Connection refused)", stopped.Message);
        Assert.Equal(12, _asked.Count);
        await Assert.ThrowsAsync<RunStoppedException>(() => AskAsync(pool));
        Assert.Equal(12, _asked.Count);
    }

    [Fact]
    public async Task A_server_that_comes_back_is_asked_again()
    {
        using var pool = Pool(["http://a"], (_, number) => number < 5 ? throw new HttpRequestException("Connection refused") : Ok());
        await AskAsync(pool);
        Assert.Equal([0, 1, 3, 7, 15], _asked.Select(asked => asked.At.TotalSeconds));
    }

    [Theory]
    [InlineData(HttpStatusCode.UnsupportedMediaType, """{"code":"unsupported-image","detail":"It is text."}""", "It is text.")]
    [InlineData(HttpStatusCode.UnprocessableEntity, """{"code":"invalid-image","detail":"It is damaged."}""", "It is damaged.")]
    [InlineData(HttpStatusCode.RequestEntityTooLarge, "<html>", "http://a/ answered 413.")]
    public async Task What_is_wrong_with_a_photo_is_said_once(HttpStatusCode status, string body, string problem)
    {
        using var pool = Pool(["http://a"], (_, _) => Refusal(status, body, null));
        Assert.Equal(problem, (await Assert.ThrowsAsync<InferenceException>(() => AskAsync(pool))).Message);
        Assert.Single(_asked);
    }

    [Theory]
    [InlineData(HttpStatusCode.Unauthorized, """{"code":"api-key-needed","detail":"Send a key."}""", "http://a/ answered 401: Send a key.")]
    [InlineData(HttpStatusCode.NotFound, """{"code":"model-not-found","detail":"No such model."}""", "http://a/ answered 404: No such model.")]
    [InlineData(HttpStatusCode.BadRequest, """{"code":"invalid-parameter","detail":"topK is 99."}""", "http://a/ answered 400: topK is 99.")]
    [InlineData(HttpStatusCode.OK, "[]", "http://a/ answered 200, but not as a Whatsit server does.")]
    [InlineData(HttpStatusCode.OK, """{"hello":"world"}""", "http://a/ answered 200, but not as a Whatsit server does.")]
    public async Task What_is_wrong_with_every_photo_stops_the_run(HttpStatusCode status, string body, string problem)
    {
        using var pool = Pool(["http://a"], (_, _) => Refusal(status, body, null));
        Assert.Equal(problem, (await Assert.ThrowsAsync<RunStoppedException>(() => AskAsync(pool))).Message);
    }

    [Fact]
    public async Task A_photo_on_which_the_server_fails_is_given_up()
    {
        using var pool = Pool(["http://a"], (_, _) => Refusal(HttpStatusCode.InternalServerError, """{"detail":"Oh."}""", null));
        var failure = await Assert.ThrowsAsync<InferenceException>(() => AskAsync(pool));
        Assert.Equal((InferenceError.UpstreamFailed, "http://a/ answered 500: Oh.", 3), (failure.Error, failure.Message, _asked.Count));
    }

    private static Task<Classification> AskAsync(ServerPool pool) =>
        pool.ClassifyAsync(new NamedPhoto("a.png", _ => Task.FromResult<byte[]>([1])), TestContext.Current.CancellationToken);

    private static Task<HttpResponseMessage> Ok() => Refusal(HttpStatusCode.OK, Answer, null);

    private static Task<HttpResponseMessage> Refusal(HttpStatusCode status, string body, TimeSpan? retryAfter)
    {
        var response = new HttpResponseMessage(status) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        response.Headers.RetryAfter = retryAfter is { } pause ? new RetryConditionHeaderValue(pause) : null;
        return Task.FromResult(response);
    }

    private ServerPool Pool(string[] servers, Func<string, int, Task<HttpResponseMessage>> answer) =>
        new([.. servers.Select(server => new Uri(server))], "fruit", 1, "secret", new Told(request =>
        {
            Assert.Equal("?model=fruit&topK=1", request.RequestUri!.Query);
            Assert.Equal(request.RequestUri.Host == "c" ? "/prefix/predict" : "/predict", request.RequestUri.AbsolutePath);
            Assert.Equal("secret", Assert.Single(request.Headers.GetValues("X-Api-Key")));
            _asked.Enqueue((request.RequestUri.Host, _time.Elapsed));
            return answer(request.RequestUri.Host, _asked.Count);
        }), _time);

    private sealed class Told(Func<HttpRequestMessage, Task<HttpResponseMessage>> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => answer(request);
    }

    /// <summary>Whoever waits has waited.</summary>
    private sealed class JumpingTime : TimeProvider
    {
        private long _now;

        public TimeSpan Elapsed => TimeSpan.FromTicks(Volatile.Read(ref _now));

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Volatile.Read(ref _now);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                Interlocked.Add(ref _now, dueTime.Ticks);
                ThreadPool.QueueUserWorkItem(_ => callback(state));
            }

            return new Over();
        }

        private sealed class Over : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => default;
        }
    }
}
