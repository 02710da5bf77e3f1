using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference;

/// <summary>All settings of the core, for programs without a configuration; each starts with its default.</summary>
public sealed class WhatsitOptions
{
    /// <summary>Which models there are.</summary>
    public CatalogOptions Catalog { get; } = new();

    /// <summary>How pictures are decoded, and what is refused.</summary>
    public DecodingOptions Decoding { get; } = new();

    /// <summary>How many pictures wait and run at once, and how long.</summary>
    public SchedulingOptions Scheduling { get; } = new();

    /// <summary>What an explanation may cost.</summary>
    public ExplainOptions Explain { get; } = new();

    /// <summary>How the network runs.</summary>
    public OnnxBackendOptions OnnxRuntime { get; } = new();

    /// <summary>Models that other servers compute.</summary>
    public RemoteOptions Remote { get; } = new();
}
