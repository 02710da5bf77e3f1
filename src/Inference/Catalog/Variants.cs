using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Whatsit.Inference.Catalog;

/// <summary>Which variant of a model's weights this machine should run.</summary>
public static class Variants
{
    /// <summary>
    /// Whether the processor multiplies bytes as fast as it should: without VNNI or its Arm counterpart int8 is slower than fp32, or loses accuracy.
    /// </summary>
    public static bool HasFastInt8 { get; } = Dp.IsSupported || HasVnni();

    /// <summary>The configured variant, or with <c>auto</c> the best one.</summary>
    /// <param name="manifest">Says which there are.</param>
    /// <param name="configured">The variant's name, or <c>auto</c>.</param>
    /// <param name="onDevice">Another execution provider than the processor computes: most of them hand quantized layers back to the processor, so int8 is slow
    /// there.</param>
    public static string Choose(ModelManifest manifest, string configured, bool onDevice = false) => configured != "auto" ? configured
        : !onDevice && HasFastInt8 && manifest.Files.TryGetValue("int8", out var int8) && int8.Approved == true ? "int8"
        : manifest.Files.ContainsKey("fp32") ? "fp32"
        : manifest.Files.Keys.FirstOrDefault() ?? "fp32";

    private static bool HasVnni()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
        {
            return false;
        }

        // Intel Software Developer's Manual, CPUID leaf 7: AVX512_VNNI is bit 11 of ECX in sub-leaf 0, AVX-VNNI bit 4 of EAX in sub-leaf 1.
        var leaf = X86Base.CpuId(7, 0);
        return ((leaf.Ecx & (1 << 11)) != 0 && Avx512BW.IsSupported)
            || (leaf.Eax >= 1 && (X86Base.CpuId(7, 1).Eax & (1 << 4)) != 0 && Avx2.IsSupported);
    }
}
