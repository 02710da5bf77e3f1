using System.Text;
using System.Text.RegularExpressions;
using Whatsit.Inference.Imaging;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Train;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>On a terminal of 80 columns no table and no bar of any verb is wider, however long names are and however wide their characters.</summary>
public sealed partial class TerminalWidthTests : IDisposable
{
    private const int Columns = 80;
    private const string Name = "a-model-with-a-long-name-that-goes-on-and-on-until-it-ends";
    private const string LongPhoto = "einSehrLangerNameOhneLeerzeichenDerEinfachNichtAufhoertWeilNiemandIhnBeendetHat_und_noch_etwas_mehr";

    private static readonly string[] Labels =
        ["とても長い日本語のラベルの名前がここに続いていて、なかなか終わらないのでとても困ります", "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenfabrik", "plum"];

    private readonly string _folder = Directory.CreateTempSubdirectory("width").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task No_table_and_no_progress_is_wider_than_the_terminal()
    {
        Assert.SkipWhen(!File.Exists("/usr/bin/script"), "A terminal is made with util-linux's script.");
        LayOut();
        var seen = new StringBuilder();
        foreach (var command in (string[])
        [
            $"list",
            $"classify 日本語の写真とその長い長い名前がここに続いていて終わらない写真/0/{LongPhoto}0.png --model {Name}",
            $"classify photos --model {Name}",
            $"classify photos no-such-{LongPhoto}.jpg -o answers.csv --model {Name}",
            $"inspect {Name}",
            $"infer {Name} --input pixels.u8",
            $"evaluate {Name} --images photos.txt --compare fp32 fp32:exact",
            $"quantize {Name} --to int8 --calibrate photos.txt --max-changed 1 --max-loss 1",
            $"diff {Name}:fp32 other --images photos",
            $"preprocessing {Name} --images photos.txt --dry-run",
            $"abstain {Name} --images photos.txt --others photos",
            $"export {Name} --to tfjs",
            $"import model.onnx --name {Name} --labels names.txt --unlabelled photos --dry-run",
            $"train --images photos.txt --labels names.txt --name trained --base {Name} --no-cache",
            $"train --images photos.txt --labels names.txt --name two --compare {Name} --no-cache",
        ])
        {
            // With a terminal of its own, on which nothing is cut off at its edge that was written beyond it.
            (_, var output, var error) = await WhatsitCommand.RunProgramAsync("script", _folder, [], "-qec",
                $"stty cols {Columns} rows 50; TERM=xterm-256color PATH={AppContext.BaseDirectory}:$PATH whatsit {command}", "/dev/null");
            var text = Escapes().Replace(output + error, "");
            seen.Append(text);
            Assert.True(text.Contains('╭', StringComparison.Ordinal) || command.Contains("-o ", StringComparison.Ordinal), $"{command}:\n{text}");
            // A sentence is wrapped by the terminal, and copied whole.
            Assert.All(text.Split('\n', '\r').Where(line => line.AsSpan().ContainsAny("╭│╰├━")), line =>
                Assert.True(WidthOf(line) <= Columns, $"{command}: {WidthOf(line)} columns\n{line}\n{text}"));
        }

        // The wide characters came through, and what was too long is on several lines.
        Assert.Contains("とても", seen.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_training_s_line_leaves_room_for_its_bar()
    {
        var step = new FineTuningStep { Epoch = 199, Epochs = 200, Step = 9999, Steps = 10_000, Loss = 12.3456 };
        Assert.InRange(EpochTable.Brief(step).Length, 1, Columns / 2);
    }

    [Theory]
    [InlineData("photo", 5)]
    [InlineData("日本語", 6)]
    [InlineData("│ 🍎 │", 6)]
    public void Wide_characters_count_twice(string text, int width) => Assert.Equal(width, WidthOf(text));

    private void LayOut()
    {
        File.WriteAllLines(Path.Combine(_folder, "names.txt"), Labels);
        File.WriteAllLines(Path.Combine(_folder, "others.txt"), [.. Labels[1..], Labels[0]]);
        File.WriteAllBytes(Path.Combine(_folder, "pixels.u8"), new byte[8 * 8 * 3]);
        var list = new List<string>();
        var encoder = ImageDecoders.CreateEncoder(new DecodingOptions());
        foreach (var folder in (string[])["photos", "日本語の写真とその長い長い名前がここに続いていて終わらない写真"])
        {
            for (var photo = 0; photo < 160; photo++)
            {
                var label = photo % Labels.Length;
                var path = Path.Combine(folder, $"{label}", $"{LongPhoto}{photo}.png");
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, path))!);
                var pixels = new byte[12 * 12 * 3];
                new Random(photo).NextBytes(pixels);
                for (var i = label; i < pixels.Length; i += 3)
                {
                    pixels[i] = 255;
                }

                File.WriteAllBytes(Path.Combine(_folder, path), encoder.ToPng(pixels, 12, 12));
                list.Add($"{path},{Labels[label]}");
            }
        }

        File.WriteAllLines(Path.Combine(_folder, "photos.txt"), list);
        foreach (var name in (string[])[Name, "other"])
        {
            var model = Path.Combine(WhatsitCommand.Root, "tests/data/tfjs/layers");
            // Other names: two models that answer differently.
            var labels = Path.Combine(_folder, name == Name ? "names.txt" : "others.txt");
            var report = ModelImporter.Import(new ImportRequest(model, name, Path.Combine(_folder, "models")) { Labels = labels }, _ => { });
            File.Copy(Path.Combine(report.Folder, "model.onnx"), Path.Combine(_folder, "model.onnx"), overwrite: true);
        }
    }

    /// <summary>Columns of a terminal: East Asian wide characters and emoji take two. https://www.unicode.org/reports/tr11/</summary>
    private static int WidthOf(string line) => line.EnumerateRunes().Sum(rune => rune.Value switch
    {
        < 0x20 or 0x200D or (>= 0xFE00 and <= 0xFE0F) => 0,
        (>= 0x1100 and <= 0x115F) or (>= 0x2E80 and <= 0xA4CF) or (>= 0xAC00 and <= 0xD7A3) or (>= 0xF900 and <= 0xFAFF) or (>= 0xFE30 and <= 0xFE6F)
            or (>= 0xFF00 and <= 0xFF60) or (>= 0x1F300 and <= 0x1FAFF) => 2,
        _ => 1,
    });

    [GeneratedRegex(@"\x1B(?:\[[0-?]*[ -/]*[@-~]|\][^\a]*\a|[ -/]*[0-Z\\^-~])")]
    private static partial Regex Escapes();
}
