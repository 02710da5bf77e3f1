using System.Runtime.InteropServices;
using Whatsit.ModelConversion;

namespace Whatsit.Training;

/// <summary>What the machine must have for libtorch.</summary>
internal static class Libraries
{
    // Programs that GCC 13 or later compiled refer to it, TorchSharp's library among them: https://gcc.gnu.org/gcc-13/changes.html, "Runtime Library".
    private const string SinceGcc13 = "_ZSt21ios_base_library_initv";

    /// <summary>Sees that libtorch can be loaded, before TorchSharp tries and says less.</summary>
    /// <exception cref="ModelFormatException">It cannot; the message says what is missing.</exception>
    public static void Require()
    {
        if (OperatingSystem.IsLinux() && !(NativeLibrary.TryLoad("libstdc++.so.6", out var library) && NativeLibrary.TryGetExport(library, SinceGcc13, out _)))
        {
            throw new ModelFormatException(
                "Fine-tuning needs libstdc++ of GCC 13 or later, and this system's is older: Debian 13, Ubuntu 24.04, Windows and macOS have it, Debian 12 lacks it.");
        }
    }
}
