using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>
/// Weights in the layout that kernels want, shared by the sessions that are created with this container. Only initializers that the sessions
/// were given by <see cref="SessionOptions.AddInitializer"/> are shared. Sessions keep the container alive.
/// </summary>
public sealed unsafe class PrePackedWeightsContainer : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>An empty container; sessions fill it.</summary>
    public PrePackedWeightsContainer()
        : base(ownsHandle: true)
    {
        nint container;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreatePrepackedWeightsContainer(&container));
        SetHandle(container);
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        NativeMethods.ReleasePrepackedWeightsContainer(handle);
        return true;
    }
}
