using System.Text;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelTools.Tests.Formats.Safetensors;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("weights").FullName;

    private string File => Path.Combine(_folder, "model.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Floats_of_every_width_are_read()
    {
        SafetensorsFiles.Write(File, """
            {"__metadata__": {"format": "pt"},
             "half": {"dtype": "F16", "shape": [3], "data_offsets": [16, 22]},
             "single": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
             "double": {"dtype": "F64", "shape": [], "data_offsets": [8, 16]},
             "brain": {"dtype": "BF16", "shape": [2], "data_offsets": [22, 26]},
             "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [26, 26]},
             "counter": {"dtype": "I64", "shape": [1], "data_offsets": [26, 34]},
             "newer": {"dtype": "F4", "shape": [4], "data_offsets": [34, 36]}}
            """, [.. BitConverter.GetBytes(1.5f), .. BitConverter.GetBytes(-2f), .. BitConverter.GetBytes(0.1), .. BitConverter.GetBytes((Half)0.25),
            .. BitConverter.GetBytes((Half)(-65504)), .. BitConverter.GetBytes(Half.Epsilon), 0x49, 0x40, 0x80, 0xBF, .. new byte[10]]);

        var file = SafetensorsFile.Open(File);

        Assert.Equal([1.5f, -2], file.Read("single").ToFloats());
        Assert.Equal([2, 1], file.Read("single").Shape);
        Assert.Equal([0.1f], file.Read("double").ToFloats());
        Assert.Equal([0.25f, -65504, 5.9604645e-8f], file.Read("half").ToFloats());
        Assert.Equal([3.140625f, -1], file.Read("brain").ToFloats());
        Assert.Empty(file.Read("none").ToFloats());
        Assert.Contains("'counter' in 'model.safetensors' has elements of the type I64", Refusal(() => file.Read("counter")), StringComparison.Ordinal);
        Assert.Contains("of the type F4", Refusal(() => file.Read("newer")), StringComparison.Ordinal);
        Assert.Null(file.Shape("other"));
    }

    [Theory]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""",
        "'b' overlaps another tensor")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}""", "4 bytes at its end belong to no tensor")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""", "there is a gap before 'a'")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}""", "'a' lies outside of it")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}""", "'a' lies outside of it")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}""", "'a' lies outside of it")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2]}}""", "'a' lies outside of it")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}""", "'a' is F32 [3] in 8 bytes")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}""", "'a' has a shape that is none")]
    [InlineData("""{"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}""", "'a' has a shape that is none")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2], "data_offsets": [0, 8]}}""", "'a' has a shape that is none")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [65536, 65536, 65536, 65536], "data_offsets": [0, 8]}}""", "has more than 134,217,728 elements")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}""",
        "two tensors are called 'a'")]
    [InlineData("""{"a": [], "b": 3}""", "'a' has a shape that is none")]
    [InlineData("""{"a": """, "its header is no JSON")]
    public void A_header_that_lies_is_refused(string header, string sentence)
    {
        SafetensorsFiles.Write(File, header, new byte[8]);

        Assert.Contains(sentence, Refusal(() => SafetensorsFile.Open(File)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_that_is_longer_than_the_file_is_not_read()
    {
        System.IO.File.WriteAllBytes(File, [.. BitConverter.GetBytes(1_000_000L), .. "{}"u8]);
        Assert.Contains("its header would be longer than the file", Refusal(() => SafetensorsFile.Open(File)), StringComparison.Ordinal);
        System.IO.File.WriteAllBytes(File, [.. BitConverter.GetBytes(-1L), .. "{}"u8]);
        Assert.Contains("its header would be longer than the file", Refusal(() => SafetensorsFile.Open(File)), StringComparison.Ordinal);
        Assert.False(SafetensorsFile.Is(File));
    }

    [Fact]
    public void Several_files_are_one_checkpoint()
    {
        SafetensorsFiles.Write(Path.Combine(_folder, "model-1.safetensors"), """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}""",
            BitConverter.GetBytes(3f));
        SafetensorsFiles.Write(Path.Combine(_folder, "model-2.safetensors"), """{"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}""",
            BitConverter.GetBytes(4f));
        var index = Index("""{"a": "model-1.safetensors", "b": "model-2.safetensors"}""");

        var checkpoint = Checkpoint.Open(index);

        Assert.True(Checkpoint.Is(index));
        Assert.Equal([4f], checkpoint.Read("b", 1).ToFloats());
        Assert.Equal(["a"], checkpoint.Unread);
        Assert.Contains("'b' are [1] where the network of config.json has [2]", Refusal(() => checkpoint.Read("b", 2)), StringComparison.Ordinal);
        Assert.Contains("The weights have no 'c'", Refusal(() => checkpoint.Shape("c")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a": "model-9.safetensors"}""", "'model-9.safetensors' is missing beside 'model.safetensors.index.json'")]
    [InlineData("""{"a": "../model.safetensors"}""", "names '../model.safetensors', which is no file of weights beside it")]
    [InlineData("""{"a": "model.bin"}""", "names 'model.bin', which is no file of weights")]
    [InlineData("""{"a": 3}""", "names '', which is no file of weights")]
    [InlineData("{}", "names 0 files of weights")]
    public void An_index_that_leads_elsewhere_is_refused(string map, string sentence) =>
        Assert.Contains(sentence, Refusal(() => Checkpoint.Open(Index(map))), StringComparison.Ordinal);

    [Fact]
    public void What_an_index_names_by_a_link_is_not_opened()
    {
        SafetensorsFiles.Write(Path.Combine(_folder, "elsewhere"), """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}""", new byte[4]);
        System.IO.File.CreateSymbolicLink(Path.Combine(_folder, "model-1.safetensors"), Path.Combine(_folder, "elsewhere"));

        Assert.Contains("is missing beside", Refusal(() => Checkpoint.Open(Index("""{"a": "model-1.safetensors"}"""))), StringComparison.Ordinal);
    }

    private string Index(string map)
    {
        var path = Path.Combine(_folder, "model.safetensors.index.json");
        System.IO.File.WriteAllText(path, $$"""{"metadata": {"total_size": 8}, "weight_map": {{map}}}""", Encoding.UTF8);
        return path;
    }

    private static string Refusal(Action action) => Assert.Throws<ModelFormatException>(action).Message;

    private static string Refusal(Func<object> action) => Assert.Throws<ModelFormatException>(action).Message;
}
