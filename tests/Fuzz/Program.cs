using System.Diagnostics;
using System.Globalization;
using SharpFuzz;
using Whatsit.Fuzz;
using Whatsit.Inference.Tests.Imaging;
using Whatsit.ModelTools.Tests.Formats;

// fuzz.sh is its user. What went wrong lies in artifacts/fuzz afterwards; once mended, it moves to tests/data/fuzz/TARGET, and the short form reads it
// ever after.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["targets"]:
        Console.WriteLine(string.Join('\n', Target.All.Select(target => target.Name)));
        return 0;

    case ["seeds", var name, var folder]:
        Directory.CreateDirectory(folder);
        foreach (var (seed, bytes) in Known(Find(name)))
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, seed), bytes);
        }

        return 0;

    // Under afl-fuzz. A process of its own reads, so that a crash of native code or a stack overflow is a finding too. Nothing that is instrumented can run
    // before the fuzzer has given it memory to write to.
    case ["afl", var name]:
        Target? fuzzed = null;
        Fuzzer.OutOfProcess.Run(stream =>
        {
            using var input = new MemoryStream();
            stream.CopyTo(input);
            (fuzzed ??= Find(name)).Judge(input.ToArray());
        });
        return 0;

    case ["replay", var name, .. var files]:
        return Replay(Find(name), [.. files.Select(file => (file, File.ReadAllBytes(file)))]);

    case ["short"]:
        return Short();

    default:
        Console.Error.WriteLine("targets | seeds TARGET FOLDER | afl TARGET | replay TARGET FILE… | short");
        return 2;
}

static Target Find(string name) => Target.All.SingleOrDefault(target => target.Name == name) ?? throw new ArgumentException($"There is no target {name}.");

// Seeds, and what once went wrong.
static IEnumerable<(string Name, byte[] Bytes)> Known(Target target)
{
    var findings = TestData.Path("fuzz", target.Name);
    return target.Seeds().Concat(Directory.Exists(findings) ? Target.Files(Path.Combine("fuzz", target.Name), "") : []);
}

static int Replay(Target target, (string Name, byte[] Bytes)[] inputs)
{
    var failed = 0;
    foreach (var (name, bytes) in inputs)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            var taken = target.Judge(bytes);
            Console.WriteLine($"{(taken ? "taken" : "refused")} in {watch.ElapsedMilliseconds} ms: {name}");
        }
        catch (ViolationException violation)
        {
            failed++;
            Console.WriteLine($"WRONG {name}: {violation}");
        }
    }

    return failed == 0 ? 0 : 1;
}

// The same inputs each time: seeds, findings, and damage from a fixed random seed. Half of what is damaged is damaged again.
static int Short()
{
    int passed = 0, failed = 0;
    Console.WriteLine($"{"target",-12}{"inputs",8}{"taken",8}{"refused",9}{"wrong",7}{"worst",10}{"memory",10}");
    foreach (var target in Target.All)
    {
        var random = new Random(20_261_128);
        var known = Known(target).ToArray();
        (int Taken, int Refused, int Wrong, TimeSpan Worst) counts = default;
        var before = ResidentMemory();
        for (var index = 0; index < known.Length + target.Inputs; index++)
        {
            var input = index < known.Length ? known[index].Bytes : Damage.Apply(known[random.Next(known.Length)].Bytes, random);
            while (index >= known.Length && random.Next(2) == 0)
            {
                input = Damage.Apply(input, random);
            }

            var start = Stopwatch.GetTimestamp();
            try
            {
                _ = target.Judge(input) ? counts.Taken++ : counts.Refused++;
            }
            catch (ViolationException violation)
            {
                counts.Wrong++;
                var file = Path.Combine(TestData.Root, "artifacts", "fuzz", "short", $"{target.Name}-{index}");
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                File.WriteAllBytes(file, input);
                Console.WriteLine($"{file}: {violation}");
            }

            counts.Worst = TimeSpan.FromTicks(Math.Max(counts.Worst.Ticks, Stopwatch.GetElapsedTime(start).Ticks));
        }

        // A target whose inputs all fare alike tests nothing.
        var meansSomething = counts.Taken > 0 && counts.Refused > target.Inputs / 20;
        _ = counts.Wrong == 0 && meansSomething ? passed++ : failed++;
        Console.WriteLine(
            $"{target.Name,-12}{known.Length + target.Inputs,8}{counts.Taken,8}{counts.Refused,9}{counts.Wrong,7}{counts.Worst.TotalMilliseconds,7:F0} ms" +
            $"{(ResidentMemory() - before) / 1e6,7:F0} MB{(meansSomething ? "" : "   too much alike")}");
    }

    Console.WriteLine($"{passed} passed, {failed} failed");
    return failed == 0 ? 0 : 1;

    static long ResidentMemory()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
