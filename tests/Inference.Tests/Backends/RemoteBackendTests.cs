using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Scheduling;
using Whatsit.Inference.Tests.Catalog;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>A model on other servers, which are slow, dead, lying or half-compatible.</summary>
public abstract class RemoteBackendTests : IDisposable
{
    private protected static readonly float[] OneTwoThree = [1, 2, 3];

    private readonly ScriptedPeer _peer;
    private readonly ScriptedPeer _other;

    private protected RemoteBackendTests(ScriptedPeer peer, ScriptedPeer other) => (_peer, _other) = (peer, other);

    public void Dispose()
    {
        _peer.Dispose();
        _other.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>A status as the protocol has it.</summary>
    private protected abstract string StatusOf(Refusal refusal);

    /// <summary>An address of this protocol, without TLS or under it.</summary>
    private protected abstract string AddressOf(string host, bool isSecure = false);

    [Fact]
    public async Task What_waits_meanwhile_goes_into_the_next_call_together()
    {
        using var backend = await ConnectAsync([_peer.Address], new RemoteOptions { Hosts = ["127.0.0.1"], Calls = 1 });
        var (began, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        _peer.Infer = async call =>
        {
            began.TrySetResult();
            await gate.Task;
            await call.AnswerAsync();
        };
        await using var scheduler = new Scheduler(backend, new() { MaxQueueLength = 64 });
        var first = ScheduleAsync(backend, scheduler, 0);
        await began.Task;
        var others = Enumerable.Range(1, 6).Select(seed => ScheduleAsync(backend, scheduler, (byte)seed)).ToArray();
        gate.SetResult();
        await first;
        var answers = await Task.WhenAll(others);
        Assert.Equal(Enumerable.Range(1, 6).Select(seed => (float)seed), answers.Select(scores => scores[0]));
        Assert.Equal([1, 4, 2], _peer.Asked);
    }

    [Fact]
    public async Task Who_leaves_does_not_wait_for_a_slow_server_and_its_tensors_are_not_used_meanwhile()
    {
        using var backend = await ConnectAsync(_peer);
        var (began, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        _peer.Infer = async call =>
        {
            began.TrySetResult();
            await gate.Task;
            await call.AnswerAsync();
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
        _peer.Infer = _ => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        var late = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1, within: TimeSpan.FromSeconds(0.2)));
        Assert.Equal((InferenceError.TimedOut, "The server that computes the model 'colors' did not answer in time."), (late.Error, late.Message));
        Assert.Null(backend.Problem);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_is_busy_has_not_begun_so_another_is_asked(bool isReady)
    {
        var refusal = isReady ? Refusal.Busy : Refusal.NotReady;
        _peer.Infer = call => call.RefuseAsync(refusal);
        using var backend = await ConnectAsync(_peer, _other);
        for (var call = 0; call < 4; call++)
        {
            Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        }

        _other.Infer = _peer.Infer;
        var refused = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(isReady ? InferenceError.QueueFull : InferenceError.ModelNotReady, refused.Error);
        Assert.Equal($"The server that computes the model 'colors' answered {StatusOf(refusal)}: not now", refused.Message);
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
        _peer.Infer = _other.Infer = call => call.BreakOffAsync();
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
        _peer.Infer = call => call.RefuseAsync(Refusal.Failed);
        var failures = 0;
        for (var call = 0; call < 40; call++)
        {
            try
            {
                await RunAsync(backend, 1);
            }
            catch (InferenceException exception) when (exception.Error == InferenceError.UpstreamFailed)
            {
                Assert.Equal($"The server that computes the model 'colors' answered {StatusOf(Refusal.Failed)}: not now.", exception.Message);
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
        _peer.Infer = _ => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
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
        var address = AddressOf($"{silent.LocalEndpoint}", isSecure: true);
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([address], new() { Hosts = ["127.0.0.1"], ReadySeconds = 60 }));
        Assert.Equal($"The model 'colors' is computed at {new Uri(address)}, and that is not ready. It cannot be reached.", refused.Message);
    }

    [Fact]
    public async Task The_one_with_the_fewest_outstanding_is_asked()
    {
        using var backend = await ConnectAsync(_peer, _other);
        var gate = new TaskCompletionSource();
        _peer.Infer = async call =>
        {
            await gate.Task;
            await call.AnswerAsync();
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

    [Theory]
    [InlineData("127.0.0.1:2")]
    [InlineData("")]
    public async Task A_manifest_does_not_choose_whom_the_server_asks(string hosts)
    {
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([AddressOf("127.0.0.1:1")], new RemoteOptions { Hosts = [hosts] }));
        Assert.Equal(
            (InferenceError.ModelNotReady, "The model 'colors' is computed at '127.0.0.1:1', and the setting Remote:Hosts does not name that host."),
            (refused.Error, refused.Message));
    }

    [Fact]
    public async Task Who_is_not_there_is_said_so()
    {
        var address = AddressOf("127.0.0.1:1");
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([address], new RemoteOptions { Hosts = ["127.0.0.1:1"] }));
        Assert.Equal($"The model 'colors' is computed at {new Uri(address)}, and that is not ready. It cannot be reached.", refused.Message);
    }

    [Theory]
    [InlineData("-1", null, 1)]
    [InlineData("1", 4, 1)]
    [InlineData("-1", 100_000, 256)]
    public async Task A_call_has_as_many_pictures_as_the_server_says_that_it_takes(string side, int? said, int expected)
    {
        (_peer.MaxBatchSize, _peer.Metadata) = (said, MetadataOf($$"""{"name":"image","datatype":"UINT8","shape":[{{side}},2,2,3]}"""));
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(expected, backend.MaxBatchSize);
    }

    [Fact]
    public async Task A_call_has_no_more_pictures_than_every_server_takes()
    {
        _other.MaxBatchSize = 2;
        using (var both = await ConnectAsync(_peer, _other))
        {
            Assert.Equal(2, both.MaxBatchSize);
        }

        // One that comes later, and takes fewer, is not asked.
        _other.Ready = false;
        using var backend = await ConnectAsync(_peer, _other);
        Assert.Equal(4, backend.MaxBatchSize);
        _other.Ready = true;
        (_peer.Ready, _other.Described) = (false, 0);
        await UntilAsync(() => _other.Described > 2);
        Assert.NotNull(backend.Problem);
    }

    [Theory]
    [InlineData("""{"name":"x","datatype":"UINT8","shape":[-1,2,2,3]}""",
        "It takes 'x' UINT8 [-1,2,2,3], the manifest says 'image' UINT8 [1,2,2,3].")]
    [InlineData("""{"name":"image","datatype":"FP32","shape":[-1,2,2,3]}""",
        "It takes 'image' FP32 [-1,2,2,3], the manifest says 'image' UINT8 [1,2,2,3].")]
    [InlineData("""{"name":"image","datatype":"UINT8","shape":[-1,3,2,2]}""",
        "It takes 'image' UINT8 [-1,3,2,2], the manifest says 'image' UINT8 [1,2,2,3].")]
    public async Task Another_model_is_refused_at_start(string input, string expected)
    {
        _peer.Metadata = MetadataOf(input);
        await IsRefusedAsync(expected);
    }

    [Fact]
    public async Task A_model_without_scores_is_refused_at_start()
    {
        _peer.Metadata = """{"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[]}""";
        await IsRefusedAsync("It gives nothing, and the manifest needs 'scores' FP32 with sides that are known.");
    }

    /// <summary>The first peer is, whatever its metadata are; one that has the right model is enough, and the other is not asked.</summary>
    private protected async Task IsRefusedAsync(string expected)
    {
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync(_peer));
        Assert.Equal($"The model 'colors' is computed at {new Uri(_peer.Address)}, and that is not ready. {expected}", refused.Message);
        using var backend = await ConnectAsync(_peer, _other);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Empty(_peer.Asked);
    }

    private protected async Task IsUnderstoodAsync()
    {
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(["scores", "other"], backend.Outputs.Select(output => output.Name));
        Assert.Equal(4, backend.MaxBatchSize);
        Assert.Null(backend.Problem);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
    }

    private protected async Task IsNoAnswerAsync(string expected)
    {
        using var backend = await ConnectAsync(_peer);
        var failed = await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1));
        Assert.Equal(InferenceError.UpstreamFailed, failed.Error);
        Assert.StartsWith(
            $"The server that computes the model 'colors' gave another answer than it was asked for: {expected}", failed.Message, StringComparison.Ordinal);
    }

    private static string MetadataOf(string input) =>
        $$"""{"inputs":[{{input}}],"outputs":[{"name":"scores","datatype":"FP32","shape":[-1,3]}]}""";

    private protected static Task<RemoteBackend> ConnectAsync(params ScriptedPeer[] peers) =>
        ConnectAsync([.. peers.Select(peer => peer.Address)], new() { Hosts = ["127.0.0.1"], ReadySeconds = 0.5 });

    private protected static Task<RemoteBackend> ConnectAsync(string[] endpoints, RemoteOptions options, TimeProvider? time = null) =>
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

    private protected static async Task<float[]> RunAsync(RemoteBackend backend, byte seed, TimeSpan? within = null, TimeProvider? time = null)
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
