using System.Globalization;
using TorchSharp.Modules;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Training;
using static TorchSharp.torch;
using TorchTensor = TorchSharp.torch.Tensor;
using HostTensor = Whatsit.ModelConversion.Graphs.Tensor;

namespace Whatsit.Training;

/// <summary>
/// Trains every layer of a network, and keeps the best mean of its weights.
/// <code>
///   photos ─► part, mirrored, colours ─► mixed ─► network ─► loss ─► AdamW ─► weights ─► their mean ─► judged after each epoch ─► best.onnx
/// </code>
/// Everything that is left to chance follows from the seed, the epoch and the step, so that a training that is taken up again goes the way it would have gone.
/// </summary>
internal sealed class FineTuner : IDisposable
{
    private static readonly TimeSpan BetweenCheckpoints = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan BetweenReports = TimeSpan.FromSeconds(1);

    // Between the file in ONNX Runtime and the module in libtorch, of logits relative to the largest.
    private const float Tolerance = 1e-4f;

    // As many epochs' weights are kept to be averaged.
    private const int MostKept = 8;

    // What was learnt counts at least so much: with less of it, what it began with answers.
    private static readonly double[] Shares = [0.9, 0.8, 0.7, 0.6, 0.5];

    private readonly string _folder;
    private readonly FineTuningJob _job;
    private readonly Action<FineTuningStep> _say;
    private readonly PhotoLoader _loader;
    private readonly TorchNetwork _network;
    private readonly TorchNetwork _mean;
    private readonly AdamW _optimizer;
    private readonly Device _device = cuda_is_available() ? CUDA : CPU;
    private readonly int _steps;
    private readonly Schedule _schedule;
    private readonly int _patientFrom;

    /// <summary>Begins a training, or takes it up again.</summary>
    /// <param name="folder">Where the network lies, and what was learnt is kept.</param>
    /// <param name="job">What to train.</param>
    /// <param name="threads">How many threads compute; as many decode photos.</param>
    /// <param name="say">Told how far it is.</param>
    public FineTuner(string folder, FineTuningJob job, int threads, Action<FineTuningStep> say)
    {
        (_folder, _job, _say) = (folder, job, say);
        set_num_threads(threads);
        _loader = new PhotoLoader(job, threads);
        _network = new TorchNetwork(Read(FineTuningJob.NetworkFile), job.Logits, job.Recipe.Dropout, _device);
        _mean = new TorchNetwork(Read(FineTuningJob.NetworkFile), job.Logits, device: _device);
        _mean.eval();
        var recipe = job.Recipe;
        RequireSize(Growth.Of(recipe, job.Input, 0).Input);
        var last = Growth.Of(recipe, job.Input, recipe.Epochs - 1).Input;
        RequireSize(last);
        _optimizer = optim.AdamW([.. Groups(head: true, recipe.HeadRate), .. Groups(head: false, recipe.BackboneRate)]);
        _steps = Math.Max(1, job.Training.Count / Math.Min(recipe.Batch, job.Training.Count));
        _schedule = new Schedule(recipe, _steps);
        // While photos grow, those that judge are larger, and what is learnt shows later; and a cycle's first steps undo what the one before ended with.
        _patientFrom = Math.Max(Stage.CycleOf(recipe, recipe.Epochs - 1).First,
            Enumerable.Range(0, recipe.Epochs).First(epoch => Growth.Of(recipe, job.Input, epoch).Input.Width >= Math.Min(job.Input.Width, last.Width)));
        State = Checkpoint.Read(folder, job, _network, _mean, _optimizer) ?? new TrainingState();
        if (State.History.Count > 0)
        {
            _say(Now() with { History = State.History, Note = $"Goes on in epoch {State.Epoch + 1}, step {State.Step + 1}." });
        }

        // Biases are not held small.
        IEnumerable<AdamW.ParamGroup> Groups(bool head, double rate) => _network.ParametersOf(head).GroupBy(parameter => parameter.dim() > 1)
            .OrderByDescending(group => group.Key).Select(group =>
                new AdamW.ParamGroup([.. group], rate, weight_decay: group.Key ? recipe.WeightDecay : 0));
    }

    /// <summary>Where the training stands.</summary>
    public TrainingState State { get; private set; }

    /// <summary>Trains to the end, or until it is cancelled; then a checkpoint is written.</summary>
    public void Run(CancellationToken cancellationToken)
    {
        if (State.History.Count == 0)
        {
            // What there is before is judged too, and is kept where nothing gets better.
            Judge(loss: null, TimeProvider.System.GetTimestamp(), 0, cancellationToken);
            WriteCheckpoint();
        }

        while (State.Epoch < _job.Recipe.Epochs)
        {
            if (_job.Recipe.Patience > 0 && State.Epoch - Math.Max(Best().Epoch, _patientFrom) >= _job.Recipe.Patience)
            {
                _say(Now() with { Note = $"Ends early: {Counted.Of(_job.Recipe.Patience, "epoch")} brought nothing better than epoch {Best().Epoch}." });
                break;
            }

            Epoch(cancellationToken);
        }

        Finish(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        _network.Dispose();
        _mean.Dispose();
    }

    /// <summary>That the network takes photos of another size, too.</summary>
    private void RequireSize(InputSpec input)
    {
        if (input == _job.Input)
        {
            return;
        }

        try
        {
            using var scope = NewDisposeScope();
            using var nothing = no_grad();
            _mean.forward(PhotoLoader.ToTensor(new Photos(new byte[input.ByteLength], [0], input)).to(_device));
        }
        catch (ModelFormatException exception)
        {
            throw new ModelFormatException(
                $"The network takes pictures of {_job.Input.Width} × {_job.Input.Height} pixels alone, and none of {input.Width} × {input.Height}: " +
                "leave --progressive out.", exception);
        }
    }

    private void Epoch(CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        var before = State.Seconds;
        var (saved, said, first) = (started, 0L, State.Step);
        _network.train();
        var batches = _loader.Learn(State.Epoch, State.Step, cancellationToken).GetEnumerator();
        try
        {
            while (State.Step < _steps && batches.MoveNext())
            {
                cancellationToken.ThrowIfCancellationRequested();
                var loss = Step(batches.Current);
                var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
                State = State with { Step = State.Step + 1, Loss = State.Loss + loss, Seconds = before + seconds };
                if (TimeProvider.System.GetElapsedTime(said) >= BetweenReports)
                {
                    said = TimeProvider.System.GetTimestamp();
                    var perStep = seconds / (State.Step - first);
                    _say(Now() with
                    {
                        PhotosPerSecond = Math.Min(_job.Recipe.Batch, _job.Training.Count) / perStep,
                        SecondsLeft = perStep * ((_steps * (_job.Recipe.Epochs - State.Epoch)) - State.Step),
                    });
                }

                if (TimeProvider.System.GetElapsedTime(saved) >= BetweenCheckpoints)
                {
                    WriteCheckpoint();
                    saved = TimeProvider.System.GetTimestamp();
                }
            }
        }
        catch (OperationCanceledException)
        {
            WriteCheckpoint();
            throw;
        }

        Judge(State.Loss / _steps, started, before, cancellationToken);
        EndCycle();
        WriteCheckpoint();
    }

    /// <summary>Begins the next cycle, if one has ended, with the mean of the weights.</summary>
    private void EndCycle()
    {
        if (Stage.CycleOf(_job.Recipe, State.Epoch - 1).End != State.Epoch)
        {
            return;
        }

        using var nothing = no_grad();
        foreach (var (name, mean) in _mean.Learnt)
        {
            _network.Learnt[name].copy_(mean);
        }
    }

    /// <summary>Keeps what an epoch ended with, while it is one of the best.</summary>
    private void KeepForAverage(int ended)
    {
        int[] order = [.. Learnt().Select(epoch => epoch.Epoch)];
        if (Array.IndexOf(order, ended) < MostKept)
        {
            Checkpoint.Write(EpochFile(ended), _mean.Learnt.Values);
        }

        if (order.Length > MostKept)
        {
            File.Delete(EpochFile(order[MostKept]));
        }
    }

    /// <summary>The epochs, the best first; without what there was before.</summary>
    private IEnumerable<FineTuningEpoch> Learnt() => BestFirst().Where(epoch => epoch.Epoch > 0);

    private IEnumerable<FineTuningEpoch> BestFirst() => State.History.OrderByDescending(epoch => epoch.Top1).ThenBy(epoch => epoch.CrossEntropy);

    private string EpochFile(int epoch) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{FineTuningJob.EpochFile}{epoch}"));

    /// <summary>Makes of what the best epochs ended with, and of what it began with, what answers best. Done again, it comes to the same.</summary>
    private void Finish(CancellationToken cancellationToken)
    {
        var best = Best();
        File.Copy(Path.Combine(_folder, FineTuningJob.BestFile), Path.Combine(_folder, FineTuningJob.ResultFile), overwrite: true);
        var kept = Average(best, cancellationToken);
        if (kept.Epoch > 0)
        {
            MixWithStart(kept, cancellationToken);
        }

        _say(Now() with { Best = best.Epoch });
    }

    /// <summary>
    /// A greedy soup (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482, recipe 1): to the weights of the best epoch those of each other one that was kept
    /// are added, best first, where their mean answers no worse. It is kept where it answers better than the best epoch.
    /// </summary>
    /// <returns>How what is kept then answers.</returns>
    private FineTuningEpoch Average(FineTuningEpoch kept, CancellationToken cancellationToken)
    {
        FineTuningEpoch[] ends = [.. Learnt().Take(MostKept).Where(epoch => File.Exists(EpochFile(epoch.Epoch)))];
        if (ends.Length < 2)
        {
            return kept;
        }

        int[] taken = [ends[0].Epoch];
        var (best, soup) = (ends[0], (Judgement?)null);
        foreach (var end in ends.Skip(1))
        {
            Mix([.. taken, end.Epoch]);
            var judged = Measure(cancellationToken);
            if (judged.Top1 >= best.Top1)
            {
                (taken, soup, best) = ([.. taken, end.Epoch], judged, best with { Top1 = judged.Top1, CrossEntropy = judged.CrossEntropy });
            }
        }

        if (soup is null || !IsBetter(best, kept))
        {
            return kept;
        }

        Mix(taken);
        Keep(soup, FineTuningJob.ResultFile);
        int[] numbers = [.. taken.Order()];
        _say(Now() with
        {
            Averaged = numbers,
            Note = string.Create(CultureInfo.InvariantCulture,
                $"The mean of what epochs {string.Join(", ", numbers)} ended with is kept: it answers {best.Top1:P1} rightly, the best one's {kept.Top1:P1}."),
        });
        return best;

        void Mix(int[] epochs)
        {
            using var scope = NewDisposeScope();
            var weights = epochs.Select(epoch => Checkpoint.Read(EpochFile(epoch), _mean.Learnt.Count)).ToArray();
            Set((_, place) => stack([.. weights.Select(each => each[place])]).mean([0]));
        }
    }

    /// <summary>
    /// Mixes what was learnt with a little of what it began with, which knows more than the photos that were learnt from: WiSE-FT, Wortsman et al. 2021
    /// (https://arxiv.org/abs/2109.01903). It is kept where it answers better.
    /// </summary>
    private void MixWithStart(FineTuningEpoch kept, CancellationToken cancellationToken)
    {
        using var start = new TorchNetwork(Read(FineTuningJob.NetworkFile), _job.Logits, device: _device);
        using var learnt = new TorchNetwork(Read(FineTuningJob.ResultFile), _job.Logits, device: _device);
        var (best, chosen) = (kept, default((double Share, Judgement Judged)?));
        foreach (var share in Shares)
        {
            Mix(share);
            var judged = Measure(cancellationToken);
            var mixed = kept with { Top1 = judged.Top1, CrossEntropy = judged.CrossEntropy };
            (best, chosen) = IsBetter(mixed, best) ? (mixed, (share, judged)) : (best, chosen);
        }

        if (chosen is var (taken, judgement))
        {
            Mix(taken);
            Keep(judgement, FineTuningJob.ResultFile);
            _say(Now() with
            {
                Share = taken,
                Note = string.Create(CultureInfo.InvariantCulture,
                    $"Mixed with {1 - taken:P0} of the weights that it began with, it answers {best.Top1:P1} rightly; before, {kept.Top1:P1}."),
            });
        }

        void Mix(double share)
        {
            using var scope = NewDisposeScope();
            Set((name, _) => start.Learnt[name].lerp(learnt.Learnt[name], share));
        }
    }

    /// <summary>Puts other weights in the place of the mean.</summary>
    private void Set(Func<string, int, TorchTensor> weights)
    {
        using var nothing = no_grad();
        foreach (var ((name, mean), place) in _mean.Learnt.Select((entry, place) => (entry, place)))
        {
            mean.copy_(weights(name, place));
        }
    }

    private double Step(Photos photos)
    {
        using var scope = NewDisposeScope();
        var step = (State.Epoch * _steps) + State.Step;
        // What is left out of the embedding is left to libtorch.
        var seed = Seeds.Of(_job.Recipe.Seed, step, -1);
        random.manual_seed(seed);
        foreach (var group in _optimizer.ParamGroups)
        {
            group.LearningRate = group.InitialLearningRate * _schedule.At(step);
        }

        var (input, targets) = Mixing.Apply(PhotoLoader.ToTensor(photos).to(_device), nn.functional.one_hot(tensor(photos.Labels), _job.Classes)
            .to_type(ScalarType.Float32).to(_device), photos.Spec.Layout, Mixed(State.Epoch), new Random(seed));
        var loss = nn.functional.cross_entropy(_network.forward(input), targets, label_smoothing: _job.Recipe.Smoothing);
        _optimizer.zero_grad();
        loss.backward();
        nn.utils.clip_grad_norm_(_network.parameters(), _job.Recipe.ClipNorm);
        _optimizer.step();
        var number = loss.cpu().item<float>();
        if (!float.IsFinite(number))
        {
            throw new ModelFormatException(
                $"The loss is no number any more in epoch {State.Epoch + 1}, step {State.Step + 1}: the rates are too high for this network.");
        }

        using var nothing = no_grad();
        var kept = _schedule.AverageAt(step);
        foreach (var (name, mean) in _mean.Learnt)
        {
            mean.mul_(kept).add_(_network.Learnt[name], alpha: 1 - kept);
        }

        return number;
    }

    private Graph Read(string file) => new OnnxReader().Read(Path.Combine(_folder, file)).Graph;

    /// <summary>Judges the mean of the weights, and keeps it where it is the best.</summary>
    private void Judge(double? loss, long started, double before, CancellationToken cancellationToken)
    {
        var judged = Measure(cancellationToken);
        var ended = new FineTuningEpoch(loss is null ? 0 : State.Epoch + 1, loss, judged.Top1, judged.CrossEntropy,
            before + TimeProvider.System.GetElapsedTime(started).TotalSeconds);
        State = new TrainingState { Epoch = ended.Epoch, History = [.. State.History, ended] };
        if (Best() == ended)
        {
            Keep(judged, FineTuningJob.BestFile);
        }

        if (ended.Epoch > 0)
        {
            KeepForAverage(ended.Epoch);
        }

        _say(Now() with { Ended = ended });
    }

    /// <summary>How the mean of the weights answers to the photos that judge.</summary>
    private Judgement Measure(CancellationToken cancellationToken)
    {
        var (right, crossEntropy) = (0L, 0.0);
        (Photos Photos, float[] Logits)? first = null;
        using var nothing = no_grad();
        foreach (var photos in _loader.Judge(cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits = _mean.forward(PhotoLoader.ToTensor(photos).to(_device)).cpu();
            first ??= (photos, logits.data<float>().ToArray());
            var labels = tensor(photos.Labels);
            right += logits.argmax(1).eq(labels).sum().item<long>();
            crossEntropy += nn.functional.cross_entropy(logits, labels, reduction: nn.Reduction.Sum).item<float>();
        }

        return new Judgement((double)right / _job.Validation.Count, crossEntropy / _job.Validation.Count, first!.Value.Photos, first.Value.Logits);
    }

    /// <summary>Writes the mean of the weights.</summary>
    private void Keep(Judgement judged, string file)
    {
        var path = Path.Combine(_folder, file);
        OnnxWriter.Write(_mean.WriteBack(), path + ".new");
        Prove(path + ".new", judged.Photos, judged.Logits);
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>What is written must answer as the module did.</summary>
    private void Prove(string path, Photos photos, float[] logits)
    {
        using var runner = new OnnxRunner(path, threads: 1);
        var input = new HostTensor(_job.Input.ElementType == InputElementType.UInt8 ? ElementType.UInt8 : ElementType.Float32,
            [.. photos.Shape.Select(side => (int)side)], photos.Input);
        var answers = runner.Run(new Dictionary<string, HostTensor> { [_job.Input.Name] = input }, _job.Logits)[_job.Logits].ToFloats();
        var difference = answers.Zip(logits, (a, b) => Math.Abs(a - b)).Max();
        if (!(difference <= Tolerance * Math.Max(1, logits.Max(Math.Abs))))
        {
            throw new ModelFormatException($"What was trained cannot be written down: the file's answers are up to {difference:0.######} from the network's.");
        }
    }

    /// <summary>The recipe with as much CutMix and mixup as an epoch has.</summary>
    private FineTuningRecipe Mixed(int epoch)
    {
        var share = Growth.Of(_job.Recipe, _job.Input, epoch).Mixed;
        return _job.Recipe with { CutMix = share * _job.Recipe.CutMix, MixUp = share * _job.Recipe.MixUp };
    }

    private void WriteCheckpoint() => Checkpoint.Write(_folder, _job, State, _network, _mean, _optimizer);

    private FineTuningEpoch Best() => BestFirst().First();

    private static bool IsBetter(FineTuningEpoch one, FineTuningEpoch other) =>
        one.Top1 > other.Top1 || (one.Top1 == other.Top1 && one.CrossEntropy < other.CrossEntropy);

    private FineTuningStep Now() => new()
    {
        Epoch = Math.Min(State.Epoch + 1, _job.Recipe.Epochs),
        Epochs = _job.Recipe.Epochs,
        Step = State.Step,
        Steps = _steps,
        Loss = State.Step > 0 ? State.Loss / State.Step : null,
    };

    /// <summary>How weights answer.</summary>
    /// <param name="Top1">The share of photos that judge with the right answer.</param>
    /// <param name="CrossEntropy">The mean cross entropy.</param>
    /// <param name="Photos">The first of them.</param>
    /// <param name="Logits">The answers to these.</param>
    private sealed record Judgement(double Top1, double CrossEntropy, Photos Photos, float[] Logits);
}
