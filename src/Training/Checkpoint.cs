using System.Text.Json;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Training;
using static TorchSharp.torch;

namespace Whatsit.Training;

/// <summary>Where a training stands.</summary>
internal sealed record TrainingState
{
    /// <summary>Epochs that are over.</summary>
    public int Epoch { get; init; }

    /// <summary>Steps of the next one that are done.</summary>
    public int Step { get; init; }

    /// <summary>The sum of their losses.</summary>
    public double Loss { get; init; }

    /// <summary>Seconds that these steps took.</summary>
    public double Seconds { get; init; }

    /// <summary>What was measured.</summary>
    public IReadOnlyList<FineTuningEpoch> History { get; init; } = [];
}

/// <summary>
/// Everything that a training needs to go on as if nothing had been, in one file: where it stands, the job, the weights, their mean, and what the optimizer
/// remembers. It is written beside and renamed, so that there is always a whole one.
/// </summary>
internal static class Checkpoint
{
    private const string Magic = "Whatsit training 1";

    public static void Write(string folder, FineTuningJob job, TrainingState state, TorchNetwork network, TorchNetwork mean, OptimizerHelper optimizer)
    {
        var path = Path.Combine(folder, FineTuningJob.CheckpointFile);
        var temporary = path + ".new";
        using (var file = File.Create(temporary))
        {
            using var writer = new BinaryWriter(file);
            writer.Write(Magic);
            // How long the whole is.
            var place = file.Position;
            writer.Write(0L);
            writer.Write(JsonSerializer.Serialize(job, FineTuningJson.Default.FineTuningJob));
            writer.Write(JsonSerializer.Serialize(state, CheckpointJson.Default.TrainingState));
            Save(writer, network.Learnt.Values.Concat(mean.Learnt.Values));
            optimizer.save_state_dict(writer);
            writer.Flush();
            file.Position = place;
            writer.Write(file.Length);
            writer.Flush();
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Writes tensors alone.</summary>
    public static void Write(string path, IEnumerable<Tensor> tensors)
    {
        using (var file = File.Create(path + ".new"))
        {
            using var writer = new BinaryWriter(file);
            Save(writer, tensors);
            writer.Flush();
            file.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Reads so many tensors alone.</summary>
    public static Tensor[] Read(string path, int count)
    {
        try
        {
            using var reader = new BinaryReader(File.OpenRead(path));
            return [.. Enumerable.Range(0, count).Select(_ => Tensor.Load(reader))];
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            throw Broken(path, exception);
        }
    }

    /// <summary>Takes a training up where it was left, if it was begun.</summary>
    /// <exception cref="ModelFormatException">The checkpoint is another training's, or broken.</exception>
    public static TrainingState? Read(string folder, FineTuningJob job, TorchNetwork network, TorchNetwork mean, OptimizerHelper optimizer)
    {
        var path = Path.Combine(folder, FineTuningJob.CheckpointFile);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var reader = new BinaryReader(File.OpenRead(path));
            if (reader.ReadString() != Magic)
            {
                throw new ModelFormatException($"'{path}' is no checkpoint of this version: delete it to begin anew.");
            }

            if (reader.ReadInt64() != reader.BaseStream.Length)
            {
                throw Broken(path);
            }

            var begun = JsonSerializer.Deserialize(reader.ReadString(), FineTuningJson.Default.FineTuningJob)!;
            if (!begun.IsSameAs(job))
            {
                throw new ModelFormatException(
                    $"'{path}' is of a training with other photos, another base or another recipe: take another folder with --checkpoints, or delete it to begin anew.");
            }

            var state = JsonSerializer.Deserialize(reader.ReadString(), CheckpointJson.Default.TrainingState)!;
            using var nothing = no_grad();
            foreach (var tensor in network.Learnt.Values.Concat(mean.Learnt.Values))
            {
                using var kept = Tensor.Load(reader);
                tensor.copy_(kept);
            }

            optimizer.load_state_dict(reader);
            return state;
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            throw Broken(path, exception);
        }
    }

    private static bool IsBroken(Exception exception) =>
        exception is EndOfStreamException or InvalidDataException or JsonException or ArgumentException or FormatException;

    private static ModelFormatException Broken(string path, Exception? cause = null) => new($"'{path}' is broken: delete it to begin anew.", cause);

    private static void Save(BinaryWriter writer, IEnumerable<Tensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            using var copy = tensor.detach().cpu().contiguous();
            copy.Save(writer);
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TrainingState))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
