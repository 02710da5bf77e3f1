namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// The field numbers of the tables in tensorflow/lite/schema/schema.fbs (version 3c), under the schema's names: a FlatBuffer's fields count from 0 in
/// the order in which they are declared. What nobody reads is left out.
/// </summary>
internal static class LiteSchema
{
    internal static class Model
    {
        public const int Version = 0, OperatorCodes = 1, Subgraphs = 2, Buffers = 4, Metadata = 6;
    }

    internal static class SubGraph
    {
        public const int Tensors = 0, Inputs = 1, Outputs = 2, Operators = 3, Name = 4;
    }

    internal static class Metadata
    {
        public const int Name = 0, Buffer = 1;
    }

    internal static class Buffer
    {
        public const int Data = 0, Offset = 1, Size = 2;
    }

    internal static class OperatorCode
    {
        public const int DeprecatedBuiltinCode = 0, CustomCode = 1, BuiltinCode = 3;
    }

    internal static class Tensor
    {
        public const int Shape = 0, Type = 1, Buffer = 2, Name = 3, Quantization = 4, IsVariable = 5, Sparsity = 6, ShapeSignature = 7;
    }

    internal static class QuantizationParameters
    {
        public const int Scale = 2, ZeroPoint = 3, DetailsType = 4, QuantizedDimension = 6;
    }

    internal static class Operator
    {
        public const int OpcodeIndex = 0, Inputs = 1, Outputs = 2, BuiltinOptions = 4;
    }

    internal static class Conv2DOptions
    {
        public const int Padding = 0, StrideW = 1, StrideH = 2, FusedActivationFunction = 3, DilationWFactor = 4, DilationHFactor = 5;
    }

    internal static class DepthwiseConv2DOptions
    {
        public const int Padding = 0, StrideW = 1, StrideH = 2, FusedActivationFunction = 4, DilationWFactor = 5, DilationHFactor = 6;
    }

    internal static class TransposeConvOptions
    {
        public const int Padding = 0, StrideW = 1, StrideH = 2, FusedActivationFunction = 3;
    }

    internal static class Pool2DOptions
    {
        public const int Padding = 0, StrideW = 1, StrideH = 2, FilterWidth = 3, FilterHeight = 4, FusedActivationFunction = 5;
    }

    internal static class FullyConnectedOptions
    {
        public const int FusedActivationFunction = 0, WeightsFormat = 1, KeepNumDims = 2;
    }

    internal static class BatchMatMulOptions
    {
        public const int AdjX = 0, AdjY = 1;
    }

    internal static class SoftmaxOptions
    {
        public const int Beta = 0;
    }

    internal static class LocalResponseNormalizationOptions
    {
        public const int Radius = 0, Bias = 1, Alpha = 2, Beta = 3;
    }

    /// <summary>Add, Sub, Mul and Div have a table each, with this field in the same place.</summary>
    internal static class ArithmeticOptions
    {
        public const int FusedActivationFunction = 0;
    }

    internal static class LeakyReluOptions
    {
        public const int Alpha = 0;
    }

    internal static class GeluOptions
    {
        public const int Approximate = 0;
    }

    internal static class FakeQuantOptions
    {
        public const int Min = 0, Max = 1;
    }

    internal static class ConcatenationOptions
    {
        public const int Axis = 0, FusedActivationFunction = 1;
    }

    internal static class ReshapeOptions
    {
        public const int NewShape = 0;
    }

    internal static class SqueezeOptions
    {
        public const int SqueezeDims = 0;
    }

    internal static class ShapeOptions
    {
        public const int OutType = 0;
    }

    internal static class MirrorPadOptions
    {
        public const int Mode = 0;
    }

    internal static class StridedSliceOptions
    {
        public const int BeginMask = 0, EndMask = 1, EllipsisMask = 2, NewAxisMask = 3, ShrinkAxisMask = 4, Offset = 5;
    }

    internal static class PackOptions
    {
        public const int Axis = 1;
    }

    internal static class UnpackOptions
    {
        public const int Axis = 1;
    }

    internal static class GatherOptions
    {
        public const int Axis = 0, BatchDims = 1;
    }

    /// <summary>The same for depth to space and for space to depth.</summary>
    internal static class DepthToSpaceOptions
    {
        public const int BlockSize = 0;
    }

    internal static class ReducerOptions
    {
        public const int KeepDims = 0;
    }

    internal static class ResizeBilinearOptions
    {
        // 0 and 1, the new size, are deprecated: an input has it.
        public const int AlignCorners = 2, HalfPixelCenters = 3;
    }

    internal static class ResizeNearestNeighborOptions
    {
        public const int AlignCorners = 0, HalfPixelCenters = 1;
    }
}

/// <summary>The same for metadata_schema.fbs (tflite-support, version 1.1.0).</summary>
internal static class LiteMetadataSchema
{
    internal static class ModelMetadata
    {
        public const int SubgraphMetadata = 3;
    }

    internal static class SubGraphMetadata
    {
        public const int InputTensorMetadata = 2, OutputTensorMetadata = 3;
    }

    internal static class TensorMetadata
    {
        public const int ProcessUnits = 4, AssociatedFiles = 6;
    }

    internal static class ProcessUnit
    {
        public const int OptionsType = 0, Options = 1;
    }

    internal static class NormalizationOptions
    {
        public const int Mean = 0, Std = 1;
    }

    internal static class AssociatedFile
    {
        public const int Name = 0, Type = 2;
    }
}
