using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Backends;

/// <summary>
/// A model on other servers, which speak the Open Inference Protocol v2 over HTTP or gRPC (Triton, KServe, OpenVINO Model Server, another Whatsit). Pictures
/// are decoded, prepared and judged here; tensors go there.
/// <code>
///   waiting requests ──► one call, up to max_batch_size ──► the ready server with the fewest pictures outstanding
///                                      │ not begun: busy, not ready, not reached          │ begun: the answer, or a failure
///                                      └──► the next one, until all were asked            └──► asked no other: what ended one might end all
/// </code>
/// </summary>
public sealed class RemoteBackend : IBackend
{
    /// <summary>What stands in answers as the variant of the weights.</summary>
    public const string Variant = "remote";

    // What nobody waits for, such as a self-test.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly RemoteEndpoint[] _endpoints;
    private readonly RemoteContract _contract;
    private readonly RemoteOptions _options;
    private readonly TimeProvider _time;
    private readonly ConcurrentBag<RemoteTensors> _idle = [];
    private readonly CancellationTokenSource _ends = new();
    private int _next;

    private RemoteBackend(RemoteEndpoint[] endpoints, RemoteContract contract, RemoteOptions options, TimeProvider time)
    {
        (_endpoints, _contract, _options, _time) = (endpoints, contract, options, time);
        _ = WatchAsync(_ends.Token);
    }

    /// <inheritdoc/>
    public IReadOnlyList<TensorSpec> Outputs => _contract.Outputs;

    /// <inheritdoc/>
    public int? MaxBatchSize => _contract.MaxBatchSize;

    /// <inheritdoc/>
    public int? Concurrency => _endpoints.Length * _options.Calls;

    /// <inheritdoc/>
    public bool KeepsTensors => true;

    /// <inheritdoc/>
    public string? Problem => Array.Exists(_endpoints, endpoint => endpoint.IsReady) ? null
        : $"No server that computes the model '{_contract.Manifest.Name}' is ready. {_endpoints[0].Problem ?? "It has failed too often and is given a pause."}";

    /// <summary>Asks the servers what they have; one that has the model is enough.</summary>
    /// <param name="manifest">Names the servers, and says what the model takes and gives.</param>
    /// <param name="options">Which hosts may be asked, and how.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Hears when a server comes or goes.</param>
    /// <param name="cancellationToken">The program ends.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: none has it, or none may be asked.</exception>
    public static async Task<RemoteBackend> ConnectAsync(ModelManifest manifest, RemoteOptions options, TimeProvider time, ILogger logger,
        CancellationToken cancellationToken)
    {
        RemoteEndpoint[] endpoints = [.. AddressesOf(manifest, options).Select(address => new RemoteEndpoint(address, manifest, options, time, logger))];
        try
        {
            var contracts = await Task.WhenAll(endpoints.Select(async endpoint =>
            {
                try
                {
                    return await endpoint.DescribeAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (InferenceException exception)
                {
                    endpoint.Problem = exception.Message;
                    return null;
                }
            })).ConfigureAwait(false);
            var first = contracts.FirstOrDefault(contract => contract is not null)
                ?? throw new InferenceException(
                    InferenceError.ModelNotReady,
                    $"The model '{manifest.Name}' is computed at {endpoints[0].Address}, and that is not ready. {endpoints[0].Problem}");
            // What all of them take in one call.
            var contract = contracts.OfType<RemoteContract>().Where(first.IsSame).MinBy(contract => contract.MaxBatchSize)!;
            foreach (var (endpoint, found) in endpoints.Zip(contracts).Where(pair => pair.Second is not null))
            {
                endpoint.Problem = ProblemOf(found!, contract);
            }

            return new(endpoints, contract, options, time);
        }
        catch
        {
            Array.ForEach(endpoints, endpoint => endpoint.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensors Lease(IReadOnlyList<string> others) =>
        (_idle.TryTake(out var idle) ? idle : new RemoteTensors(_contract, GiveBack)).Leased(others);

    /// <inheritdoc/>
    public async ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken)
    {
        RemoteTensors[] sent = [.. batch.Cast<RemoteTensors>()];
        Array.ForEach(sent, tensors => tensors.Hold());
        try
        {
            await RunAsync(sent).ConfigureAwait(false);
        }
        finally
        {
            Array.ForEach(sent, tensors => tensors.Release());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ends.Cancel();
        Array.ForEach(_endpoints, endpoint => endpoint.Dispose());
    }

    private static string? ProblemOf(RemoteContract found, RemoteContract contract) =>
        !found.IsSame(contract) ? "It has another model of that name than the first server."
        : found.MaxBatchSize < contract.MaxBatchSize
            ? $"It takes {Counted.Of(found.MaxBatchSize, "picture")} in one call, and {contract.MaxBatchSize} may be sent."
        : null;

    private async Task RunAsync(RemoteTensors[] batch)
    {
        string[] outputs = [.. batch.SelectMany(tensors => tensors.Wanted).Distinct()];
        foreach (var tensors in batch)
        {
            // What one asks for, all get: one call, one list of outputs.
            tensors.MakeRoom(outputs);
        }

        // As long as one of them waits; the others leave by themselves.
        var deadline = batch.Max(tensors => tensors.Deadline ?? long.MaxValue);
        List<RemoteEndpoint> asked = [];
        InferenceException? refusal = null;
        while (Choose(asked) is { } endpoint)
        {
            var left = deadline == long.MaxValue ? Longest : _time.GetElapsedTime(_time.GetTimestamp(), deadline);
            if (left <= TimeSpan.Zero)
            {
                throw new InferenceException(InferenceError.TimedOut, $"No server that computes the model '{_contract.Manifest.Name}' took it in time.");
            }

            asked.Add(endpoint);
            var refused = await endpoint.InferAsync(_contract, batch, outputs, left).ConfigureAwait(false);
            if (refused is null)
            {
                return;
            }

            refusal = refusal is { Error: InferenceError.QueueFull } ? refusal : refused;
        }

        throw refusal
            ?? new InferenceException(InferenceError.ModelNotReady, Problem ?? $"No server that computes the model '{_contract.Manifest.Name}' is ready.");
    }

    /// <summary>The one with the fewest pictures outstanding; of several, each in its turn.</summary>
    private RemoteEndpoint? Choose(List<RemoteEndpoint> asked)
    {
        var first = (uint)Interlocked.Increment(ref _next);
        RemoteEndpoint? best = null;
        for (var index = 0U; index < _endpoints.Length; index++)
        {
            var endpoint = _endpoints[(first + index) % _endpoints.Length];
            if (endpoint.IsReady && !asked.Contains(endpoint) && (best is null || endpoint.Outstanding < best.Outstanding))
            {
                best = endpoint;
            }
        }

        return best;
    }

    /// <summary>Asks each server again and again whether it is ready; one that was away, what it has now, too.</summary>
    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(_options.ReadySeconds), _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                await Task.WhenAll(_endpoints.Select(endpoint => LookAsync(endpoint, cancellationToken))).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The model goes.
        }
    }

    private async Task LookAsync(RemoteEndpoint endpoint, CancellationToken cancellationToken)
    {
        try
        {
            if (endpoint.Problem is null)
            {
                await endpoint.CheckReadyAsync(cancellationToken).ConfigureAwait(false);
                return;
            }

            var found = await endpoint.DescribeAsync(cancellationToken).ConfigureAwait(false);
            endpoint.Problem = ProblemOf(found, _contract);
        }
        catch (Exception exception) when (exception is InferenceException or ObjectDisposedException)
        {
            endpoint.Problem = exception.Message;
        }
    }

    private void GiveBack(RemoteTensors tensors)
    {
        if (_idle.Count < 2 * _contract.MaxBatchSize)
        {
            _idle.Add(tensors);
        }
    }

    private static Uri[] AddressesOf(ModelManifest manifest, RemoteOptions options)
    {
        var endpoints = manifest.Remote!.Endpoints;
        if (endpoints.Count == 0)
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"The model '{manifest.Name}' has 'remote' without an endpoint.");
        }

        return [.. endpoints.Select(endpoint =>
        {
            if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var address) || address.UserInfo.Length > 0 || address.Query.Length > 0
                || address.Scheme is not ("http" or "https") && !(GrpcTransport.Speaks(address) && address.AbsolutePath is "/" or ""))
            {
                throw new InferenceException(InferenceError.ModelNotReady,
                    $"The model '{manifest.Name}' names the endpoint '{Sentence.OneLine(endpoint, 80)}'; it must be such as http://host:8080 or "
                    + "grpc://host:8001.");
            }

            return options.Allows(address) ? address : throw new InferenceException(
                InferenceError.ModelNotReady,
                $"The model '{manifest.Name}' is computed at '{address.Authority}', and the setting Remote:Hosts does not name that host.");
        })];
    }
}
