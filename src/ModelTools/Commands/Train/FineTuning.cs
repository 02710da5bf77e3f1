using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>That every layer is to be trained, not the last one alone.</summary>
/// <param name="Recipe">How.</param>
/// <param name="Threads">How many threads compute; without it one for each processor.</param>
/// <param name="Checkpoints">The folder in which to keep where it stands; without it one in the user's cache.</param>
internal sealed record FineTuningRequest(FineTuningRecipe Recipe, int? Threads = null, string? Checkpoints = null);

/// <summary>What fine-tuning came to.</summary>
/// <param name="Recipe">How it was done.</param>
/// <param name="History">The epochs, that before the first one included.</param>
/// <param name="Best">The epoch whose weights were kept.</param>
/// <param name="Averaged">The epochs the mean of whose weights was kept instead; none where one epoch's were.</param>
/// <param name="Share">The share of what was learnt in the weights; the rest is what they began with.</param>
/// <param name="Notes">What is to be told.</param>
internal sealed record FineTuned(FineTuningRecipe Recipe, IReadOnlyList<FineTuningEpoch> History, int Best, IReadOnlyList<int> Averaged, double Share,
    IReadOnlyList<string> Notes);

/// <summary>
/// Starts the training program (<c>src/Training</c>), which has libtorch and is installed for itself, and listens to it. What it needs lies in a folder: the
/// job, the network, later checkpoints and the best network so far. The same request goes on where it was ended.
/// </summary>
internal static class FineTuning
{
    private const string Program = "whatsit-training";
    private const string PhotosFolder = "photos";

    // As libtorch begins its warnings: "[W1130 04:42:57.365945351 NNPACK.cpp:56] …".
    private const string LibraryWarning = "[W";

    // The C library gives large pieces back to the system with each free, and every step asks for the same ones again. It keeps them in its first arena alone
    // (those of other threads are heaps of 64 MB, https://sourceware.org/glibc/wiki/MallocInternals), and huge pages cost a five hundredth of the faults:
    // MobileNetV2 learns from 50 photos of 224 pixels in a second instead of 11. oneDNN's AVX-512 is no faster then, and gave wrong sums on one processor.
    private static readonly (string Name, string Value)[] Usual =
    [
        ("MALLOC_MMAP_THRESHOLD_", "8589934592"), ("MALLOC_TRIM_THRESHOLD_", "34359738368"), ("MALLOC_TOP_PAD_", "268435456"), ("MALLOC_ARENA_MAX", "1"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"), ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ];

    /// <summary>Sees that the program is there and can run.</summary>
    /// <returns>Its file.</returns>
    /// <exception cref="ModelFormatException">It is not installed, or lacks something; the message says what to do.</exception>
    public static Task<string> RequireAsync(CancellationToken cancellationToken) => RequireAsync(Find(), cancellationToken);

    /// <summary>The folder that holds what comes with the program.</summary>
    /// <exception cref="ModelFormatException">It is not installed; the message says what to do.</exception>
    public static async Task<string> FolderAsync(CancellationToken cancellationToken)
    {
        using var process = Start(Find() ?? throw Missing($"The base {ResNet18.Name} comes with"), "--folder");
        var folder = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return folder.Trim();
    }

    private static ModelFormatException Missing(string whatNeeds) => new(
        $"{whatNeeds} the training program, which is not installed: run ./build.sh training in the repository of whatsit, or " +
        $"dotnet tool install --global whatsit.training from where its package lies.");

    internal static async Task<string> RequireAsync(string? found, CancellationToken cancellationToken)
    {
        var program = found ?? throw Missing("Fine-tuning needs");
        using var process = Start(program, "--check");
        var error = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0 ? program : throw new ModelFormatException(error.Trim());
    }

    /// <summary>Trains.</summary>
    /// <param name="program">The training program.</param>
    /// <param name="request">How.</param>
    /// <param name="job">What, but for the photos' files.</param>
    /// <param name="graph">The network to begin with.</param>
    /// <param name="learnt">The photos to learn from.</param>
    /// <param name="judged">The photos to judge by.</param>
    /// <param name="name">The bundle's name.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellationToken">Nobody waits for it any more: a checkpoint is written.</param>
    /// <returns>What came of it, and the network.</returns>
    public static async Task<(FineTuned Result, Graph Graph)> RunAsync(string program, FineTuningRequest request, FineTuningJob job, Graph graph,
        IReadOnlyList<LabelledPhoto> learnt, IReadOnlyList<LabelledPhoto> judged, string name, Action<TrainingStep> progress,
        CancellationToken cancellationToken)
    {
        var folder = Path.GetFullPath(request.Checkpoints ?? UsualFolder(job, learnt, judged, name));
        Directory.CreateDirectory(folder);
        job = job with { Training = [.. learnt.Select(photo => ToFile(photo, folder))], Validation = [.. judged.Select(photo => ToFile(photo, folder))] };
        if (!File.Exists(Path.Combine(folder, FineTuningJob.CheckpointFile)))
        {
            OnnxWriter.Write(graph, Path.Combine(folder, FineTuningJob.NetworkFile));
        }

        await File.WriteAllTextAsync(Path.Combine(folder, FineTuningJob.JobFile),
            JsonSerializer.Serialize(job, FineTuningJson.Default.FineTuningJob), cancellationToken);
        var (history, notes) = (new List<FineTuningEpoch>(), new List<string>());
        var (best, averaged, share) = (0, (IReadOnlyList<int>)[], 1.0);
        using var process = Start(program, folder, $"{request.Threads ?? Environment.ProcessorCount}");
        // It writes a checkpoint and ends once nobody holds the other end of its input.
        await using var ending = cancellationToken.Register(process.StandardInput.Close);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        while (await process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line)
        {
            var step = JsonSerializer.Deserialize(line, FineTuningJson.Default.FineTuningStep)!;
            if (step.History is { } before)
            {
                history = [.. before];
            }

            if (step.Ended is { } ended)
            {
                history.Add(ended);
            }

            if (step.Note is { } note)
            {
                notes.Add(note);
            }

            (best, averaged, share) = (step.Best ?? best, step.Averaged ?? averaged, step.Share ?? share);
            progress(new TrainingStep($"Epoch {step.Epoch} of {step.Epochs}", step.Step, step.Steps) { FineTuning = step });
        }

        var error = (await errors).Trim();
        await process.WaitForExitAsync(CancellationToken.None);
        cancellationToken.ThrowIfCancellationRequested();
        if (process.ExitCode != 0)
        {
            throw process.ExitCode == Interruption.ExitCode ? new OperationCanceledException() : new ModelFormatException(
                error.Split('\n').FirstOrDefault(line => line.Length > 0 && !line.StartsWith(LibraryWarning, StringComparison.Ordinal))
                    ?? $"The training program ended with exit code {process.ExitCode}; the same command goes on from its checkpoint.");
        }

        var trained = new OnnxReader().Read(Path.Combine(folder, FineTuningJob.ResultFile)).Graph;
        if (request.Checkpoints is null)
        {
            Directory.Delete(folder, recursive: true);
        }

        return (new FineTuned(request.Recipe, history, best, averaged, share, notes), trained);
    }

    /// <summary>The program, where it is: as a variable names it, beside this one, or as .NET tools are installed.</summary>
    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable(FineTuningJob.ProgramVariable) is { Length: > 0 } named)
        {
            return File.Exists(named) ? named : throw new ModelFormatException($"{FineTuningJob.ProgramVariable} names '{named}', which is not there.");
        }

        var file = OperatingSystem.IsWindows() ? Program + ".exe" : Program;
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string[] folders =
        [
            AppContext.BaseDirectory,
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
            Path.Combine(home, ".dotnet", "tools"),
        ];
        return folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
    }

    private static Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var (name, value) in Usual)
        {
            start.Environment.TryAdd(name, value);
        }

        return Process.Start(start)!;
    }

    /// <summary>A photo within a file of many becomes a file of its own.</summary>
    private static FineTuningPhoto ToFile(LabelledPhoto photo, string folder)
    {
        if (photo.Content is null)
        {
            return new FineTuningPhoto(Path.GetFullPath(photo.Path), photo.Label!.Value);
        }

        var content = photo.Content();
        var file = Path.Combine(folder, PhotosFolder, Convert.ToHexStringLower(SHA256.HashData(content)));
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, content);
        return new FineTuningPhoto(file, photo.Label!.Value);
    }

    private static string UsualFolder(FineTuningJob job, IReadOnlyList<LabelledPhoto> learnt, IReadOnlyList<LabelledPhoto> judged, string name)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(job, FineTuningJson.Default.FineTuningJob));
        foreach (var photo in learnt.Concat(judged))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{photo.Path} {photo.Label}\n"));
        }

        return Path.Combine(UserCache.Folder, "training", $"{name}-{Convert.ToHexStringLower(hash.GetHashAndReset())[..12]}");
    }
}
