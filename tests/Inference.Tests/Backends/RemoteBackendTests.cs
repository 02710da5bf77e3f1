using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Scheduling;
using Whatsit.Inference.Tests.Catalog;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>A model on other servers, which are slow, dead, lying or half-compatible.</summary>
public sealed class RemoteBackendTests : IDisposable
{
    private static readonly float[] OneTwoThree = [1, 2, 3];

    private readonly ScriptedPeer _peer = new();
    private readonly ScriptedPeer _other = new();

    public void Dispose()
    {
        _peer.Dispose();
        _other.Dispose();
    }

    [Fact]
    public async Task Tensors_go_as_bytes_with_the_deadline_and_scores_come_back()
    {
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(["scores", "other"], backend.Outputs.Select(output => output.Name));
        Assert.Equal(4, backend.MaxBatchSize);
        Assert.Null(backend.Problem);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        var asked = Assert.Single(_peer.Asked);
        Assert.Equal(
            """{"name":"image","shape":[1,2,2,3],"datatype":"UINT8","parameters":{"binary_data_size":12}}""", asked["inputs"]![0]!.ToJsonString());
        Assert.Equal("""[{"name":"scores","parameters":{"binary_data":true}}]""", asked["outputs"]!.ToJsonString());
        Assert.InRange((long)asked["parameters"]!["timeout"]!, 1, 30_000_000);
    }

    [Theory]
    [InlineData("""{"name":"peer","extensions":["classification"]}""", true)]
    [InlineData("""{"name":"peer"}""", false)]
    public async Task Who_takes_no_bytes_gets_numbers_and_who_says_nothing_bytes(string server, bool isJson)
    {
        _peer.Server = server;
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Equal(isJson, _peer.Asked[0]["inputs"]![0]!["data"] is not null);
    }

    [Theory]
    [InlineData("""{"max_batch_size":4}""", """{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,2,2,3]}],"outputs":[S]}""", 1)]
    [InlineData(null, """{"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[S]}""", 1)]
    [InlineData("""{"max_batch_size":100000}""", """{"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[S]}""", 256)]
    public async Task A_call_has_as_many_pictures_as_the_server_says_that_it_takes(string? configuration, string metadata, int expected)
    {
        (_peer.Configuration, _peer.Metadata) = (configuration, Scores(metadata));
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(expected, backend.MaxBatchSize);
    }

    [Fact]
    public async Task What_waits_meanwhile_goes_into_the_next_call_together()
    {
        using var backend = await ConnectAsync([_peer.Address], new RemoteOptions { Hosts = ["127.0.0.1"], Calls = 1 });
        var (began, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        _peer.Infer = async (context, asked, tensors) =>
        {
            began.TrySetResult();
            await gate.Task;
            await ScriptedPeer.AnswerAsync(context, asked, tensors);
        };
        await using var scheduler = new Scheduler(backend, new() { MaxQueueLength = 64 });
        var first = ScheduleAsync(backend, scheduler, 0);
        await began.Task;
        var others = Enumerable.Range(1, 6).Select(seed => ScheduleAsync(backend, scheduler, (byte)seed)).ToArray();
        gate.SetResult();
        await first;
        var answers = await Task.WhenAll(others);
        Assert.Equal(Enumerable.Range(1, 6).Select(seed => (float)seed), answers.Select(scores => scores[0]));
        Assert.Equal([1, 4, 2], _peer.Asked.Select(asked => (int)asked["inputs"]![0]!["shape"]![0]!));
    }

    [Fact]
    public async Task Who_leaves_does_not_wait_for_a_slow_server_and_its_tensors_are_not_used_meanwhile()
    {
        using var backend = await ConnectAsync(_peer);
        var (began, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        _peer.Infer = async (context, asked, tensors) =>
        {
            began.TrySetResult();
            await gate.Task;
            await ScriptedPeer.AnswerAsync(context, asked, tensors);
        };
        await using var scheduler = new Scheduler(backend, new());
        using var leaves = new CancellationTokenSource();
        var left = ScheduleAsync(backend, scheduler, 1, leaves.Token);
        await began.Task;
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        var next = ScheduleAsync(backend, scheduler, 7);
        gate.SetResult();
        Assert.Equal((float[])[7, 8, 9], await next);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_in_time_is_not_waited_for()
    {
        using var backend = await ConnectAsync(_peer);
        _peer.Infer = (_, _, _) => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        var late = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1, within: TimeSpan.FromSeconds(0.2)));
        Assert.Equal((InferenceError.TimedOut, "The server that computes the model 'colors' did not answer in time."), (late.Error, late.Message));
        Assert.Null(backend.Problem);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Who_is_busy_has_not_begun_so_another_is_asked(int status)
    {
        _peer.Infer = (context, _, _) => ScriptedPeer.SendAsync(context, status, """{"error":"not now"}""");
        using var backend = await ConnectAsync(_peer, _other);
        for (var call = 0; call < 4; call++)
        {
            Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        }

        _other.Infer = _peer.Infer;
        var refused = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(status == 429 ? InferenceError.QueueFull : InferenceError.ModelNotReady, refused.Error);
        Assert.Equal($"The server that computes the model 'colors' answered {status}: not now", refused.Message);
    }

    [Fact]
    public async Task Who_is_dead_is_passed_over_and_asked_again_when_it_is_ready_again()
    {
        using var backend = await ConnectAsync(_peer, _other);
        _peer.Dispose();
        for (var call = 0; call < 4; call++)
        {
            Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        }

        Assert.Empty(_peer.Asked);
        _other.Ready = false;
        await UntilAsync(() => backend.Problem is not null);
        Assert.StartsWith("No server that computes the model 'colors' is ready. It ", backend.Problem, StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(InferenceError.ModelNotReady, refused.Error);
        _other.Ready = true;
        await UntilAsync(() => backend.Problem is null);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
    }

    [Fact]
    public async Task What_broke_off_is_not_sent_to_another()
    {
        _peer.Infer = _other.Infer = async (context, _, _) =>
        {
            context.Response.ContentLength64 = 100;
            await context.Response.OutputStream.WriteAsync(new byte[7]);
            await context.Response.OutputStream.FlushAsync();
            context.Response.Abort();
        };
        using var backend = await ConnectAsync(_peer, _other);
        var failed = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(
            (InferenceError.UpstreamFailed, "The server that computes the model 'colors' broke off before it had answered."), (failed.Error, failed.Message));
        Assert.Equal(1, _peer.Asked.Count + _other.Asked.Count);
    }

    [Fact]
    public async Task Who_fails_again_and_again_is_given_a_pause()
    {
        using var backend = await ConnectAsync(_peer, _other);
        _peer.Infer = (context, _, _) => ScriptedPeer.SendAsync(context, 500, """{"error":"no"}""");
        var failures = 0;
        for (var call = 0; call < 40; call++)
        {
            try
            {
                await RunAsync(backend, 1);
            }
            catch (InferenceException exception) when (exception.Error == InferenceError.UpstreamFailed)
            {
                Assert.Equal("The server that computes the model 'colors' answered 500: no.", exception.Message);
                failures++;
            }
        }

        // Half of eight calls, and those that its readiness counts for: without the pause it would be twenty.
        Assert.InRange(failures, 4, 19);
    }

    [Fact]
    public async Task Who_keeps_patient_calls_waiting_is_given_a_pause()
    {
        var time = new FakeTimeProvider();
        using var backend = await ConnectAsync([_peer.Address], new() { Hosts = ["127.0.0.1"] }, time);
        _peer.Infer = (_, _, _) => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        var calls = Enumerable.Range(0, 8).Select(_ => RunAsync(backend, 1, TimeSpan.FromSeconds(10), time)).ToArray();
        await UntilAsync(() => _peer.Asked.Count == calls.Length);
        time.Advance(TimeSpan.FromSeconds(10));
        foreach (var call in calls)
        {
            Assert.Equal(InferenceError.TimedOut, (await Assert.ThrowsAsync<InferenceException>(() => call)).Error);
        }

        Assert.Equal("No server that computes the model 'colors' is ready. It has failed too often and is given a pause.", backend.Problem);
    }

    [Fact]
    public async Task Who_takes_a_connection_and_says_nothing_cannot_be_reached()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        // A handshake is part of connecting; that ends before the patience for an answer.
        var refused = await Assert.ThrowsAsync<InferenceException>(
            () => ConnectAsync([$"https://{silent.LocalEndpoint}"], new() { Hosts = ["127.0.0.1"], ReadySeconds = 60 }));
        Assert.Equal($"The model 'colors' is computed at https://{silent.LocalEndpoint}/, and that is not ready. It cannot be reached.", refused.Message);
    }

    [Fact]
    public async Task The_one_with_the_fewest_outstanding_is_asked()
    {
        using var backend = await ConnectAsync(_peer, _other);
        var gate = new TaskCompletionSource();
        _peer.Infer = async (context, asked, tensors) =>
        {
            await gate.Task;
            await ScriptedPeer.AnswerAsync(context, asked, tensors);
        };
        var slow = new List<Task>();
        for (var call = 0; call < 6; call++)
        {
            var run = RunAsync(backend, 1);
            await UntilAsync(() => run.IsCompleted || _peer.Asked.Count > slow.Count);
            if (!run.IsCompleted && _peer.Asked.Count > slow.Count)
            {
                slow.Add(run);
            }
            else
            {
                await run;
            }
        }

        gate.SetResult();
        await Task.WhenAll(slow);
        Assert.Equal((1, 5), (_peer.Asked.Count, _other.Asked.Count));
    }

    public static TheoryData<string, string, string> Lies => new()
    {
        { "nothing", "", "its answer is no inference response" },
        { """{"outputs":[]}""", "", "its answer lacks the output 'scores'" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2]}]}""", "", "its data has 8 bytes of numbers, not 12" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2,3,4]}]}""", "", "its data has more than 12 bytes of numbers" },
        { """{"outputs":[{"name":"scores","datatype":"FP64","shape":[1,3],"data":[1,2,3]}]}""", "", "its output 'scores' is FP64 [1,3], not FP32 [1,3]" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[2,3],"data":[1,2,3]}]}""", "", "its output 'scores' is FP32 [2,3], not FP32 [1,3]" },
        {
            """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}]}""", "abc",
            "its output 'scores' says 12 bytes, and there are 3"
        },
        {
            """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}]}""", "\0\0\u007F\u007F\0\0\u00C0\u007Fabcd",
            "its output 'scores' has a score that is no number"
        },
        { """{"outputs":[{"name":1}]}""", "", "its answer is no inference response" },
        { new string(' ', 100_000), "", "its answer has more than" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task An_answer_to_another_question_is_none(string json, string bytes, string expected)
    {
        _peer.Infer = (context, _, _) =>
            ScriptedPeer.SendAsync(context, 200, [.. Encoding.UTF8.GetBytes(json), .. Encoding.Latin1.GetBytes(bytes)], bytes.Length > 0 ? json.Length : null);
        using var backend = await ConnectAsync(_peer);
        var failed = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(InferenceError.UpstreamFailed, failed.Error);
        Assert.StartsWith(
            $"The server that computes the model 'colors' gave another answer than it was asked for: {expected}", failed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"inputs":[{"name":"x","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[S]}""",
        "It takes 'x' UINT8 [-1,2,2,3], the manifest says 'image' UINT8 [1,2,2,3].")]
    [InlineData("""{"inputs":[{"name":"image","datatype":"FP32","shape":[-1,2,2,3]}],"outputs":[S]}""",
        "It takes 'image' FP32 [-1,2,2,3], the manifest says 'image' UINT8 [1,2,2,3].")]
    [InlineData("""{"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,3,2,2]}],"outputs":[S]}""",
        "It takes 'image' UINT8 [-1,3,2,2], the manifest says 'image' UINT8 [1,2,2,3].")]
    [InlineData("""{"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[]}""",
        "It gives nothing, and the manifest needs 'scores' FP32 with sides that are known.")]
    [InlineData("""
        {"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],
        "outputs":[{"name":"scores","datatype":"FP32","shape":[-1,3]},{"name":"scores","datatype":"FP32","shape":[-1,3]}]}
        """,
        "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("""{"inputs":[{"name":"image","datatype":"UINT8","shape":["99999999999999999999",2,2,3]}],"outputs":[S]}""",
        "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("""{"inputs":[1]}""", "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("[", "It says nothing at /v2/models/colors.")]
    public async Task Another_model_is_refused_at_start(string metadata, string expected)
    {
        _peer.Metadata = Scores(metadata);
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync(_peer));
        Assert.Equal($"The model 'colors' is computed at {_peer.Address}/, and that is not ready. {expected}", refused.Message);
        // One that has the right one is enough, and the other is not asked.
        using var backend = await ConnectAsync(_peer, _other);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Empty(_peer.Asked);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1", "127.0.0.1:2", "is computed at '127.0.0.1:1', and the setting Remote:Hosts does not name that host.")]
    [InlineData("http://127.0.0.1:1", "", "is computed at '127.0.0.1:1', and the setting Remote:Hosts does not name that host.")]
    [InlineData("file:///etc/passwd", "*", "names the endpoint 'file:///etc/passwd'; it must be such as http://host:8080.")]
    [InlineData("http://127.0.0.1:1", "127.0.0.1:1", "is computed at http://127.0.0.1:1/, and that is not ready. It cannot be reached.")]
    public async Task A_manifest_does_not_choose_whom_the_server_asks(string endpoint, string hosts, string expected)
    {
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([endpoint], new RemoteOptions { Hosts = [hosts] }));
        Assert.Equal((InferenceError.ModelNotReady, $"The model 'colors' {expected}"), (refused.Error, refused.Message));
    }

    private static string Scores(string metadata) =>
        metadata.Replace("[S]", """[{"name":"scores","datatype":"FP32","shape":[-1,3]}]""", StringComparison.Ordinal);

    private static Task<RemoteBackend> ConnectAsync(params ScriptedPeer[] peers) =>
        ConnectAsync([.. peers.Select(peer => peer.Address)], new() { Hosts = ["127.0.0.1"], ReadySeconds = 0.5 });

    private static Task<RemoteBackend> ConnectAsync(string[] endpoints, RemoteOptions options, TimeProvider? time = null) =>
        RemoteBackend.ConnectAsync(TinyCatalog.Manifest("1") with { Remote = new(endpoints) }, options, time ?? TimeProvider.System, NullLogger.Instance,
            TestContext.Current.CancellationToken);

    private static Tensors Lease(RemoteBackend backend, byte seed, TimeSpan? within = null, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var tensors = backend.Lease([]);
        for (var index = 0; index < tensors.Input.Length; index++)
        {
            tensors.Input[index] = (byte)(seed + index);
        }

        tensors.Deadline = time.GetTimestamp() + (long)((within ?? TimeSpan.FromSeconds(30)).TotalSeconds * time.TimestampFrequency);
        return tensors;
    }

    private static async Task<float[]> RunAsync(RemoteBackend backend, byte seed, TimeSpan? within = null, TimeProvider? time = null)
    {
        using var tensors = Lease(backend, seed, within, time);
        await backend.RunAsync([tensors], TestContext.Current.CancellationToken);
        return tensors.Scores.ToArray();
    }

    private static async Task<float[]> ScheduleAsync(RemoteBackend backend, Scheduler scheduler, byte seed, CancellationToken cancellationToken = default)
    {
        using var tensors = Lease(backend, seed);
        await scheduler.RunAsync(tensors, cancellationToken);
        return tensors.Scores.ToArray();
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            await Task.Delay(10, patience.Token);
        }
    }
}
