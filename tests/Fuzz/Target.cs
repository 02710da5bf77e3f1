using Whatsit.Inference;
using Whatsit.Inference.Tests.Imaging;
using Whatsit.ModelConversion;

namespace Whatsit.Fuzz;

/// <summary>Something that reads bytes from strangers.</summary>
/// <param name="Name">What it is called on the command line.</param>
/// <param name="Inputs">How many damaged inputs the short form reads.</param>
/// <param name="Read">Reads; it throws what our code throws, and a <see cref="ViolationException"/> where the outcome is wrong.</param>
/// <param name="Seeds">Inputs that lead deep into it, by name.</param>
internal sealed record Target(string Name, int Inputs, Action<byte[]> Read, Func<IEnumerable<(string Name, byte[] Bytes)>> Seeds)
{
    // Seeds are for mutation: what is longer is mutated no better, only slower.
    private const int LargestSeed = 80 * 1024;

    // What reading one input may allocate, managed: seeds and limits are small here, so that this stands for "in proportion".
    private const long MostAllocated = 256L << 20;

    public static IReadOnlyList<Target> All { get; } = [.. PictureTargets.All, .. RequestTargets.All, .. ModelTargets.All];

    /// <summary>Reads one input, and says whether it was taken or refused as it should be.</summary>
    /// <exception cref="ViolationException">Neither.</exception>
    public bool Judge(byte[] input)
    {
        var before = GC.GetTotalAllocatedBytes();
        var taken = Take(input);
        var allocated = GC.GetTotalAllocatedBytes() - before;
        return allocated <= MostAllocated ? taken : throw new ViolationException($"{allocated:N0} bytes were allocated for {input.Length:N0}.");
    }

    /// <summary>Files of the tests' data.</summary>
    public static IEnumerable<(string Name, byte[] Bytes)> Files(string folder, params string[] endings) =>
        Directory.EnumerateFiles(TestData.Path(folder, "")).Order(StringComparer.Ordinal)
            .Where(file => endings.Any(ending => file.EndsWith(ending, StringComparison.Ordinal)) && new FileInfo(file).Length <= LargestSeed)
            .Select(file => (Path.GetFileName(file), File.ReadAllBytes(file)));

    private bool Take(byte[] input)
    {
        try
        {
            Read(input);
            return true;
        }
        catch (Exception exception) when (exception is InferenceException or ModelFormatException)
        {
            return IsSentence(exception.Message) ? false : throw new ViolationException($"No sentence for a client: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is not ViolationException)
        {
            throw new ViolationException($"Not our exception: {exception.Message}", exception);
        }
    }

    /// <summary>One line, without a trace and without a path of this machine.</summary>
    private static bool IsSentence(string message) =>
        message.Length > 0 && !message.Any(char.IsControl) && !message.Contains("   at ", StringComparison.Ordinal)
            && !message.Contains(TestData.Root, StringComparison.Ordinal);
}
