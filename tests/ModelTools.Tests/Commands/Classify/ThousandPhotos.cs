using Whatsit.Inference.Imaging;

namespace Whatsit.ModelTools.Tests.Commands.Classify;

/// <summary>A thousand small pictures in folders, two of them broken, and a model that takes next to no time.</summary>
public sealed class ThousandPhotos : IAsyncLifetime
{
    public const int Count = 1000;

    public string Folder { get; } = Directory.CreateTempSubdirectory("thousand-").FullName;

    public string Photos => Path.Combine(Folder, "photos");

    public string Models => Path.Combine(Folder, "models");

    public string PathOf(string name) => Path.Combine(Folder, name);

    public async ValueTask InitializeAsync()
    {
        var encoder = ImageDecoders.CreateEncoder(new());
        var random = new Random(17);
        var pixels = new byte[10 * 10 * 3];
        for (var photo = 0; photo < Count; photo++)
        {
            random.NextBytes(pixels);
            var path = Path.Combine(Photos, $"shelf {photo / 100}", $"{photo:0000}{(photo % 7 == 0 ? ", a \"pear\"" : "")}.png");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllBytesAsync(path, photo % 500 == 123 ? "no picture"u8.ToArray() : encoder.ToPng(pixels, 10, 10, compression: 1));
        }

        var (code, _, error) = await WhatsitCommand.RunAsync("import", "tests/data/tfjs/layers", "--name", "fruit", "--models", Models);
        Assert.True(code == 0, error);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(Folder, recursive: true);
        return default;
    }
}
