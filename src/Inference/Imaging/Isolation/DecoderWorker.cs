using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Whatsit.Inference.Imaging.Isolation;

/// <summary>One decoder process, from the server's side. It decodes one picture at a time.</summary>
internal sealed class DecoderWorker : IDisposable
{
    private const string Failed = "Decoding:Isolation is 'process', and the decoder process did not start";

    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(30);

    // What the runtime and the libraries are steered by; nothing else of the server's environment is the pictures' business.
    private static readonly string[] Kept = ["DOTNET_", "GLIBC_", "MALLOC_", "VIPS_", "LD_LIBRARY_PATH", "PATH", "HOME", "LANG", "LC_", "TMPDIR", "SystemRoot"];

    private readonly Process _process;
    private readonly SharedMemory _memory;

    private DecoderWorker(Process process, SharedMemory memory) => (_process, _memory) = (process, memory);

    /// <summary>What it reads.</summary>
    public string Reads { get; private init; } = "";

    /// <summary>Whether it waits for a picture.</summary>
    public bool IsAlive => !_process.HasExited;

    /// <summary>Starts one, and waits until it is ready.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.BackendFailed"/>: it did not start.</exception>
    public static DecoderWorker Start(DecodingOptions options, int seconds)
    {
        if (Environment.GetEnvironmentVariable(DecoderProcess.Marker) is not null)
        {
            throw new InferenceException(InferenceError.BackendFailed, $"{Failed}: the program does not begin with DecoderProcess.RunIfAsked().");
        }

        var self = Environment.ProcessPath!;
        string[] arguments = Path.GetFileNameWithoutExtension(self) == "dotnet" ? ["exec", Environment.GetCommandLineArgs()[0]] : [];
        var info = new ProcessStartInfo(self, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var name in info.Environment.Keys.Where(name => !Kept.Any(kept => name.StartsWith(kept, StringComparison.Ordinal))).ToList())
        {
            info.Environment.Remove(name);
        }

        info.Environment[DecoderProcess.Marker] = "1";
        // One thread decodes. https://learn.microsoft.com/dotnet/core/runtime-config/garbage-collector
        info.Environment["DOTNET_gcServer"] = "0";
        info.Environment["DOTNET_gcConcurrent"] = "0";
        info.Environment["DOTNET_EnableDiagnostics"] = "0";
        var memory = SharedMemory.Create();
        try
        {
            var process = Process.Start(info)!;
            try
            {
                // A program that knows nothing of this starts as itself, and never says that it is ready.
                using var deadline = new CancellationTokenSource(StartTime);
                using (deadline.Token.UnsafeRegister(static started => Kill((Process)started!), process))
                {
                    process.StandardInput.WriteLine(
                        JsonSerializer.Serialize(new DecoderStart(options, memory.Path, seconds), DecoderJson.Default.DecoderStart));
                    process.StandardInput.Flush();
                    var ready = JsonSerializer.Deserialize(process.StandardOutput.ReadLine() ?? "null", DecoderJson.Default.DecoderReady);
                    return ready is not null ? new DecoderWorker(process, memory) { Reads = ready.Reads }
                        : throw new InferenceException(InferenceError.BackendFailed, $"{Failed}; what it said stands before this line.");
                }
            }
            catch
            {
                Kill(process);
                process.Dispose();
                throw;
            }
        }
        catch (Exception exception) when (exception is Win32Exception or IOException or JsonException)
        {
            memory.Dispose();
            throw new InferenceException(InferenceError.BackendFailed, $"{Failed}: {exception.Message}", exception);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Decodes a picture, or gives <see langword="null"/> where the process ended over it. The picture lies in the memory that both share: there is no other
    /// until it is disposed of.
    /// </summary>
    /// <exception cref="OperationCanceledException">Nobody waits any longer; the process was ended.</exception>
    /// <exception cref="InferenceException">The picture is refused.</exception>
    public RgbImage? Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo, long bytes, Action<DecoderWorker> done,
        CancellationToken cancellationToken)
    {
        try
        {
            file.Span.CopyTo(_memory.Reserve(file.Length));
            using (cancellationToken.UnsafeRegister(static started => Kill((Process)started!), _process))
            {
                var request = new DecoderRequest(file.Length, _memory.Capacity, shrinkTo?.Width ?? 0, shrinkTo?.Height ?? 0, bytes);
                _process.StandardInput.WriteLine(JsonSerializer.Serialize(request, DecoderJson.Default.DecoderRequest));
                _process.StandardInput.Flush();
                var line = _process.StandardOutput.ReadLine();
                cancellationToken.ThrowIfCancellationRequested();
                return line is null ? null : Take(JsonSerializer.Deserialize(line, DecoderJson.Default.DecoderAnswer)!, done);
            }
        }
        catch (Exception exception) when (exception is IOException or JsonException)
        {
            // It ended before it was asked, or in the middle of its answer.
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    /// <summary>Ends the process.</summary>
    public void Dispose()
    {
        Kill(_process);
        _process.Dispose();
        _memory.Dispose();
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    private RgbImage Take(DecoderAnswer answer, Action<DecoderWorker> done)
    {
        _memory.See(answer.Capacity);
        if (answer is { Error: { } error, Refusal: { } sent })
        {
            var refusal = DecoderAnswer.Plain(sent);
            throw new InferenceException(error, refusal.Code, refusal.Detail, [.. refusal.Parameters.Select(entry => (entry.Key, entry.Value))]);
        }

        _ = _memory.Reserve(checked(answer.Width * answer.Height * 3));
        return new RgbImage(answer.Width, answer.Height, _memory.View, _ =>
        {
            _memory.Trim();
            done(this);
        })
        {
            OriginalWidth = answer.OriginalWidth,
            OriginalHeight = answer.OriginalHeight,
            Format = answer.Format,
            Warnings = [.. answer.Warnings.Select(DecoderAnswer.Plain)],
        };
    }
}
