using System.Diagnostics;
using Whatsit.Benchmarks.Photos;

namespace Whatsit.Hostile;

/// <summary>What came of one input.</summary>
/// <param name="Family">Its kind.</param>
/// <param name="Attack">Its name.</param>
/// <param name="Status">What was answered.</param>
/// <param name="IsWrong">Whether that is not among what may be answered.</param>
/// <param name="HasCrashed">Whether the server has ended.</param>
/// <param name="WorkMs">Processor time of the server.</param>
/// <param name="Ms">Until the answer.</param>
/// <param name="OverIdleMb">The most that was resident, without what was when idle.</param>
/// <param name="BesideMs">The slowest answer to a small photo that was sent beside it, in the long form.</param>
internal sealed record Outcome(
    string Family, string Attack, int Status, bool IsWrong, bool HasCrashed, double WorkMs, double Ms, double OverIdleMb, double BesideMs);

/// <summary>Sends every input to a server of its own kind, one after the other, and starts it anew where it has ended.</summary>
internal sealed class Runner(string program, bool isLong, TextWriter log) : IDisposable
{
    private const int PlainRounds = 15;

    // What the process may take in all: three times as much as it should.
    private const long Memory = 1_000_000_000;

    private static readonly Dictionary<string, string> Settings = new()
    {
        ["Decoding__MaxMemory"] = "192000000",
        ["Serilog__MinimumLevel__Default"] = "Warning",
    };

    private readonly byte[] _small = Photo.Create("348").Files[0], _plain = Photo.Create("4000").Files[0];
    private readonly List<Outcome> _outcomes = [];
    private Target? _target;
    private IReadOnlyDictionary<string, string>? _settings;

    public IReadOnlyList<Outcome> Outcomes => _outcomes;

    /// <summary>A small photo as people send them.</summary>
    public byte[] Small => _small;

    /// <summary>Processor time of a plain 12-megapixel JPEG.</summary>
    public double PlainMs { get; private set; }

    /// <summary>What bounded the server.</summary>
    public string LimitName { get; private set; } = "";

    public async Task RunAsync(IEnumerable<Family> families)
    {
        foreach (var family in families)
        {
            if (family.Settings != _settings)
            {
                _target?.Dispose();
                (_target, _settings) = (null, family.Settings);
            }

            foreach (var attack in family.Attacks)
            {
                var outcome = await RunAsync(family.Name, attack);
                _outcomes.Add(outcome);
                if (isLong || outcome.IsWrong || outcome.HasCrashed || outcome.OverIdleMb > Report.MostMb)
                {
                    await log.WriteLineAsync(Report.Line(outcome));
                }
            }
        }
    }

    public void Dispose() => _target?.Dispose();

    private async Task<Outcome> RunAsync(string family, Attack attack)
    {
        var target = _target ??= await StartAsync();
        target.ForgetPeak();
        var cpu = target.Cpu;
        var clock = Stopwatch.StartNew();
        var status = await attack.SendAsync(target);
        var ms = clock.Elapsed.TotalMilliseconds;
        var (work, over, beside) = (0d, 0d, 0d);
        if (!target.HasEnded)
        {
            (work, over) = ((target.Cpu - cpu).TotalMilliseconds, target.PeakMb - target.IdleMb);
            beside = isLong ? await BesideAsync(target, attack) : 0;
        }

        var crashed = target.HasEnded;
        if (crashed)
        {
            await log.WriteLineAsync($"The server has ended. Its last words:\n{target.LastWords}");
        }

        if (crashed || over > Report.MostMb)
        {
            // What comes next is judged by itself.
            target.Dispose();
            _target = null;
        }

        return new(family, attack.Name, status, !attack.Allowed.Contains(status), crashed, work, ms, over, beside);
    }

    private async Task<Target> StartAsync()
    {
        var target = await Target.StartAsync(program, Settings.Concat(_settings ?? new Dictionary<string, string>()).ToDictionary(), Memory, [_small, _plain]);
        LimitName = target.LimitName;
        if (PlainMs == 0 && isLong)
        {
            var cpu = target.Cpu;
            for (var i = 0; i < PlainRounds; i++)
            {
                await target.PredictAsync("", _plain);
            }

            PlainMs = (target.Cpu - cpu).TotalMilliseconds / PlainRounds;
        }

        return target;
    }

    private async Task<double> BesideAsync(Target target, Attack attack)
    {
        var attacking = attack.SendAsync(target);
        var worst = 0d;
        do
        {
            var clock = Stopwatch.StartNew();
            await target.PredictAsync("", _small);
            worst = Math.Max(worst, clock.Elapsed.TotalMilliseconds);
        }
        while (!attacking.IsCompleted && !target.HasEnded);

        await attacking;
        return worst;
    }
}
