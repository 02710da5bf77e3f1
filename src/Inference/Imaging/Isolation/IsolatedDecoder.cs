using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Imaging.Isolation;

/// <summary>
/// Decodes in processes of their own (<see cref="DecoderProcess"/>), as many as decode at once. One that ends over a picture, is ended because nobody waits for
/// its picture any more, or takes what its picture should not need, is replaced; the server goes on. Headers are read here, and photos of which a smaller
/// size is enough are decoded here, too: that is our own managed code.
/// </summary>
internal sealed partial class IsolatedDecoder : IImageDecoder, IDisposable
{
    private readonly DecodingOptions _options;
    private readonly IImageDecoder _inner;
    private readonly int _seconds;
    private readonly ILogger _logger;
    private readonly ConcurrentStack<DecoderWorker> _idle = new();
    private volatile bool _disposed;

    /// <summary>Starts the first process.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.BackendFailed"/>: it does not start.</exception>
    public IsolatedDecoder(DecodingOptions options, SchedulingOptions scheduling, ILogger logger)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new InferenceException(InferenceError.BackendFailed, "Decoding:Isolation is 'process', which needs Linux.");
        }

        (_options, _inner, _logger) = (options, ImageDecoders.Create(options), logger);
        _seconds = (int)Math.Ceiling(Math.Min(scheduling.TimeoutSeconds, int.MaxValue / 2));
        var first = DecoderWorker.Start(options, _seconds);
        Reads = $"{first.Reads}; in processes of their own";
        _idle.Push(first);
    }

    /// <inheritdoc/>
    public string Reads { get; }

    /// <inheritdoc/>
    public EncodedImage Open(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null)
    {
        var picture = _inner.Open(file, shrinkTo);
        // File and pixels lie in the shared memory and in their process.
        var cost = picture.Cost with { Bytes = picture.Cost.Bytes + Math.Max(file.Length, picture.Cost.PictureBytes) };
        var header = picture.Header!;
        return new EncodedImage(cost, cancellationToken => Reduce(file, header, shrinkTo, cancellationToken)
            ?? Decode(file, header, cost, shrinkTo, cancellationToken));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        while (_idle.TryPop(out var worker))
        {
            worker.Dispose();
        }
    }

    private static RgbImage? Reduce(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo, CancellationToken cancellationToken) =>
        header.Format == "jpeg" ? ReducedJpeg.TryDecode(file, header, ImageDecoder.LargestShrink(header, shrinkTo), cancellationToken) : null;

    private RgbImage Decode(
        ReadOnlyMemory<byte> file, ImageHeader header, DecodeCost cost, (int Width, int Height)? shrinkTo, CancellationToken cancellationToken)
    {
        var worker = Take();
        try
        {
            if (worker.Decode(file, shrinkTo, cost.Bytes, Return, cancellationToken) is { } image)
            {
                return image;
            }
        }
        catch (InferenceException)
        {
            Return(worker);
            throw;
        }
        catch
        {
            Replace(worker);
            throw;
        }

        Replace(worker);
        throw Ended(header.Format);
    }

    private DecoderWorker Take()
    {
        while (_idle.TryPop(out var worker))
        {
            if (worker.IsAlive)
            {
                return worker;
            }

            worker.Dispose();
        }

        return DecoderWorker.Start(_options, _seconds);
    }

    private void Return(DecoderWorker worker)
    {
        _idle.Push(worker);
        if (_disposed)
        {
            Dispose();
        }
    }

    private void Replace(DecoderWorker worker)
    {
        worker.Dispose();
        if (!_disposed)
        {
            // The next picture need not wait for it.
            _ = Task.Run(() => Return(DecoderWorker.Start(_options, _seconds)));
        }
    }

    private InferenceException Ended(string format)
    {
        Log.Ended(_logger, format);
        return new InferenceException(
            InferenceError.InvalidImage,
            "decoder-ended",
            $"The {format.ToUpperInvariant()} picture ended the process that decoded it: it is damaged, or takes more memory or time than a picture of its " +
            "size needs.",
            ("format", format));
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "A {Format} picture ended its decoder process; another takes its place")]
        public static partial void Ended(ILogger logger, string format);
    }
}
