using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// The passes in their order. Each may rely on those before it: constants are folded first and last, since layouts, paddings and batch norms are
/// computed from constants and leave new ones; channels come first before anything looks for a convolution's neighbours.
/// </summary>
internal static class PassOrder
{
    /// <summary>Makes a graph what ONNX Runtime runs fastest; inputs and outputs keep their names, types and order of axes.</summary>
    public static void Apply(Graph graph)
    {
        FoldConstants.Apply(graph);
        FreeBatch.Apply(graph);
        GlobalPooling.Apply(graph);
        ChannelsFirst.Apply(graph);
        RemoveIdentity.Apply(graph);
        ExplicitPadding.Apply(graph);
        FoldBatchNorm.Apply(graph);
        FuseActivations.Apply(graph);
        NameZeroPoints.Apply(graph);
        FoldConstants.Apply(graph);
    }
}
