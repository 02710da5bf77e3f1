using System.Buffers.Binary;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Tests.Evaluation;

public sealed class LabelledPhotosTests : IDisposable
{
    private static readonly ClassLabel[] Classes = [.. new[] { "Granny Smith apple", "crane", "tench, Tinca tinca", "crane", "goldfish, Carassius auratus",
        "7" }.Select((label, index) => new ClassLabel(index, label, null))];

    private readonly string _folder = Directory.CreateTempSubdirectory("photos").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Granny-Smith-apple/IMG_1234.jpg", 0)]
    [InlineData("granny_smith_apple/closer/5.PNG", 0)]
    [InlineData("goldfish/a.webp", 4)]
    [InlineData("carassius auratus/a.jpg", 4)]
    [InlineData("4/a.jpg", 4)]
    [InlineData("7/a.jpg", 5)]
    [InlineData("n01440764_tench.JPEG", 2)]
    [InlineData("shelf/goldfish-12.jpg", 4)]
    [InlineData("shelf/12.jpg", null)]
    [InlineData("IMG_0001.jpg", null)]
    [InlineData("crane/a.jpg", null)]
    public void A_photo_is_labelled_by_its_folder_or_its_name(string file, int? label)
    {
        Touch(file);

        var photo = Assert.Single(LabelledPhotos.Read(_folder, Classes));

        Assert.Equal((file, label), (photo.Name, photo.Label));
    }

    [Fact]
    public void Of_two_classes_with_one_name_the_place_among_the_neighbours_decides()
    {
        Touch("n01440764_tench.JPEG", "n01700000_crane.JPEG", "n01800000_goldfish.JPEG", "n01100000_crane.JPEG");

        Assert.Equal([1, 2, 3, 4], LabelledPhotos.Read(_folder, Classes).Select(photo => photo.Label));
    }

    [Fact]
    public void A_list_names_files_and_labels_or_indices()
    {
        Touch("a.jpg", "b c.jpg", "d.jpg", "e.jpg");
        var list = Path.Combine(_folder, LabelledPhotos.List);
        File.WriteAllLines(list, ["path,label", "a.jpg, granny smith apple", "\"b c.jpg\",\"tench, Tinca tinca\"", "", "d.jpg,4,17", "e.jpg"]);

        int?[] labels = [0, 2, 4, null];
        Assert.Equal(labels, LabelledPhotos.Read(list, Classes).Select(photo => photo.Label));
        Assert.Equal(labels, LabelledPhotos.Read(_folder, Classes).Select(photo => photo.Label));
    }

    [Fact]
    public void Where_labels_do_not_matter_none_is_wrong()
    {
        Touch("a.jpg", "b.jpg");
        var list = Path.Combine(_folder, LabelledPhotos.List);
        File.WriteAllLines(list, ["path,label", "a.jpg,herring", "b.jpg,12"]);

        Assert.Equal(["a.jpg", "b.jpg"], LabelledPhotos.ReadOthers(list).Select(photo => photo.Name));
        Assert.Equal(["a.jpg", "b.jpg"], LabelledPhotos.ReadOthers(_folder).Select(photo => photo.Name));
    }

    [Theory]
    [InlineData("a.jpg,herring", "photos.csv, line 2: 'herring' is no label of this model, and no index below 6.")]
    [InlineData("a.jpg,6", "photos.csv, line 2: '6' is no label of this model, and no index below 6.")]
    [InlineData("a.jpg,crane", "photos.csv, line 2: 'crane' is the label of several classes: give the index.")]
    [InlineData("b.jpg,0", "photos.csv, line 2: there is no file 'b.jpg'.")]
    public void A_wrong_line_is_named(string line, string message)
    {
        Touch("a.jpg");
        var list = Path.Combine(_folder, "photos.csv");
        File.WriteAllLines(list, ["a.jpg,0", line]);

        Assert.Equal(message, Assert.Throws<ModelFormatException>(() => LabelledPhotos.Read(list, Classes)).Message);
    }

    [Fact]
    public void A_place_without_photos_is_refused()
    {
        Touch("notes.txt");

        Assert.StartsWith($"'{_folder}' has no photos", Assert.Throws<ModelFormatException>(() => LabelledPhotos.Read(_folder, Classes)).Message,
            StringComparison.Ordinal);
        Assert.Equal("There is no folder or list '/nowhere/at/all'.",
            Assert.Throws<ModelFormatException>(() => LabelledPhotos.Read("/nowhere/at/all", Classes)).Message);
    }

    [Fact]
    public void Photos_of_more_bytes_than_can_be_counted_are_refused()
    {
        // 16 · 1073676290 · 1073807362 is 64 more than 2 to the power of 64.
        WriteIdx("train-images-idx3-ubyte", [0x803, 16, 1073676290, 1073807362], 64);
        WriteIdx("train-labels-idx1-ubyte", [0x801, 16], 16);

        Assert.StartsWith("'train-images-idx3-ubyte' has the sides 16 × 1073676290 × 1073807362",
            Assert.Throws<ModelFormatException>(() => LabelledPhotos.Read(_folder, Classes)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_of_the_photos_is_spread_over_all()
    {
        LabelledPhoto[] photos = [.. Enumerable.Range(0, 10).Select(i => new LabelledPhoto($"{i}", $"{i}", null))];

        Assert.Equal(["0", "2", "5", "7"], LabelledPhotos.Spread(photos, 4).Select(photo => photo.Name));
        Assert.Equal(10, LabelledPhotos.Spread(photos, 200).Count);
    }

    private void WriteIdx(string name, int[] header, int bytes)
    {
        var file = new byte[(4 * header.Length) + bytes];
        for (var number = 0; number < header.Length; number++)
        {
            BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(4 * number), header[number]);
        }

        File.WriteAllBytes(Path.Combine(_folder, name), file);
    }

    private void Touch(params string[] files)
    {
        foreach (var file in files)
        {
            var path = Path.Combine(_folder, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, []);
        }
    }
}
