using System.Text.Json;
using System.Text.Json.Serialization;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Training;

/// <summary>How every layer of a network is trained further. The defaults are the recipe that made the bundled model.</summary>
public sealed record FineTuningRecipe
{
    /// <summary>How often each photo is learnt from.</summary>
    public int Epochs { get; init; } = 20;

    /// <summary>Photos in one step.</summary>
    public int Batch { get; init; } = 32;

    /// <summary>The highest learning rate of the last layer.</summary>
    public double HeadRate { get; init; } = 3e-3;

    /// <summary>The highest learning rate of all layers before it: they know pictures already.</summary>
    public double BackboneRate { get; init; } = 3e-4;

    /// <summary>Steps over which the rates rise; at most a tenth of all.</summary>
    public int WarmUp { get; init; } = 100;

    /// <summary>AdamW's weight decay, of weights and not of biases.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>The gradient is at most so long.</summary>
    public double ClipNorm { get; init; } = 5;

    /// <summary>The part of each label that goes to all classes alike.</summary>
    public double Smoothing { get; init; } = 0.1;

    /// <summary>The share of steps in which a part of another photo is pasted into each.</summary>
    public double CutMix { get; init; } = 0.3;

    /// <summary>The share of steps in which each photo is blended with another.</summary>
    public double MixUp { get; init; } = 0.1;

    /// <summary>The share of the embedding that is left out in each step.</summary>
    public double Dropout { get; init; } = 0.2;

    /// <summary>How much of the mean of the weights stays in each step; the mean is what is judged and kept.</summary>
    public double Average { get; init; } = 0.995;

    /// <summary>
    /// Photos are learnt from so small at first, in pixels of the shorter side, and grow by 32 to what the network takes; what mixes them grows with them.
    /// Progressive learning, Tan and Le 2021 (https://arxiv.org/abs/2104.00298). 0: they are as large as the network takes them throughout.
    /// </summary>
    public int FirstSide { get; init; }

    /// <summary>What photos grow to; 0: what the network takes.</summary>
    public int LastSide { get; init; }

    /// <summary>
    /// How often the rates rise and fall, each time from the mean of the weights and to 7 tenths of the height before (warm restarts, Loshchilov and Hutter 2017,
    /// https://arxiv.org/abs/1608.03983).
    /// </summary>
    public int Cycles { get; init; } = 1;

    /// <summary>ReLU takes the place of each ReLU6 of the base.</summary>
    public bool Relu { get; init; }

    /// <summary>The smallest share of a photo's area that is learnt from.</summary>
    public double SmallestCrop { get; init; } = 0.3;

    /// <summary>By how much brightness, contrast and saturation change.</summary>
    public double Jitter { get; init; } = 0.3;

    /// <summary>By how much the colours change against each other.</summary>
    public double WhiteBalance { get; init; } = 0.1;

    /// <summary>Ends after so many epochs without a better answer to the photos that judge; 0 never.</summary>
    public int Patience { get; init; } = 8;

    /// <summary>Decides order, parts, colours and mixtures.</summary>
    public int Seed { get; init; } = 1;
}

/// <summary>A photo to learn from or to judge by.</summary>
/// <param name="Path">The file.</param>
/// <param name="Label">Its class.</param>
public sealed record FineTuningPhoto(string Path, int Label);

/// <summary>What the training program is asked for. It finds the network beside the job, and leaves there what it learnt.</summary>
/// <param name="Base">The hash of the weights that it begins with, but for the last layer.</param>
/// <param name="Logits">The output that is trained.</param>
/// <param name="Classes">How many classes there are.</param>
/// <param name="Input">The network's input.</param>
/// <param name="Preprocessing">How photos are prepared to be judged.</param>
/// <param name="Recipe">How it is trained.</param>
/// <param name="Training">The photos to learn from.</param>
/// <param name="Validation">The photos to judge by.</param>
public sealed record FineTuningJob(string Base, string Logits, int Classes, InputSpec Input, PreprocessingSpec Preprocessing, FineTuningRecipe Recipe,
    IReadOnlyList<FineTuningPhoto> Training, IReadOnlyList<FineTuningPhoto> Validation)
{
    /// <summary>The job itself.</summary>
    public const string JobFile = "job.json";

    /// <summary>The network that it begins with.</summary>
    public const string NetworkFile = "network.onnx";

    /// <summary>The best network so far.</summary>
    public const string BestFile = "best.onnx";

    /// <summary>What comes of it, once all is done.</summary>
    public const string ResultFile = "result.onnx";

    /// <summary>Where the training stands.</summary>
    public const string CheckpointFile = "checkpoint";

    /// <summary>What one of the best epochs ended with; its number follows.</summary>
    public const string EpochFile = "epoch-";

    /// <summary>The variable of the environment that names the training program.</summary>
    public const string ProgramVariable = "WHATSIT_TRAINING";

    /// <summary>Whether another one is the same training.</summary>
    public bool IsSameAs(FineTuningJob other) =>
        JsonSerializer.Serialize(this, FineTuningJson.Default.FineTuningJob) == JsonSerializer.Serialize(other, FineTuningJson.Default.FineTuningJob);
}

/// <summary>An epoch that is over.</summary>
/// <param name="Epoch">Which, from 1; 0 is the network before it was trained.</param>
/// <param name="Loss">The mean loss of its steps; of epoch 0 nothing.</param>
/// <param name="Top1">The share of photos that judge with the right answer, by the mean of the weights.</param>
/// <param name="CrossEntropy">The mean cross entropy of these answers.</param>
/// <param name="Seconds">How long it took, with judging.</param>
public sealed record FineTuningEpoch(int Epoch, double? Loss, double Top1, double CrossEntropy, double Seconds);

/// <summary>What the training program says, a line of JSON each.</summary>
public sealed record FineTuningStep
{
    /// <summary>The epoch that is at work, from 1.</summary>
    public int Epoch { get; init; }

    /// <summary>How many epochs there are at most.</summary>
    public int Epochs { get; init; }

    /// <summary>Steps of it that are done.</summary>
    public int Step { get; init; }

    /// <summary>Of how many.</summary>
    public int Steps { get; init; }

    /// <summary>The mean loss of these steps.</summary>
    public double? Loss { get; init; }

    /// <summary>Photos that are learnt from in a second.</summary>
    public double? PhotosPerSecond { get; init; }

    /// <summary>Seconds until all epochs are done.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>An epoch that has just ended.</summary>
    public FineTuningEpoch? Ended { get; init; }

    /// <summary>The epochs before, where a training goes on.</summary>
    public IReadOnlyList<FineTuningEpoch>? History { get; init; }

    /// <summary>The best epoch, once all is done.</summary>
    public int? Best { get; init; }

    /// <summary>The epochs, from 1, the mean of whose weights is kept in place of the best one's, once all is done.</summary>
    public IReadOnlyList<int>? Averaged { get; init; }

    /// <summary>The share of what was learnt in what is kept, once all is done; the rest is what it began with.</summary>
    public double? Share { get; init; }

    /// <summary>Something to tell: where it went on, why it ended.</summary>
    public string? Note { get; init; }
}

/// <summary>Reads and writes jobs and what is said of them.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(KebabCaseEnumConverter<Crop>), typeof(KebabCaseEnumConverter<ChannelOrder>), typeof(KebabCaseEnumConverter<Fidelity>),
        typeof(KebabCaseEnumConverter<InputElementType>), typeof(KebabCaseEnumConverter<TensorLayout>),
        typeof(KebabCaseEnumConverter<PreprocessingCertainty>)],
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(FineTuningJob))]
[JsonSerializable(typeof(FineTuningStep))]
public sealed partial class FineTuningJson : JsonSerializerContext;
