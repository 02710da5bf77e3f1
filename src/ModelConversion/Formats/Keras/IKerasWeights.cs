using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>Where the weights of a Keras network lie: an HDF5 group, a <c>.keras</c> archive, the shards of TensorFlow.js.</summary>
public interface IKerasWeights
{
    /// <summary>
    /// One weight in Keras' own layout (a Conv2D kernel is H W I O), of any float type; read when asked for, so that the caller holds one at a time.
    /// </summary>
    /// <param name="layer">The layer's name; before it, outermost first, the names of the models that it is nested in (without the outermost model).</param>
    /// <param name="weight">Keras' name of the weight: <c>kernel</c>, <c>bias</c>, <c>gamma</c>, <c>depthwise_kernel</c>.</param>
    /// <param name="index">Its place among the layer's weights in Keras' order, for stores that do not keep names.</param>
    /// <returns><see langword="null"/> where there is none; the caller says which is missing.</returns>
    Tensor? Find(IReadOnlyList<string> layer, string weight, int index);
}
