using System.Text.Json.Nodes;

namespace Whatsit.ModelTools.Tests.Commands;

public sealed class ClassifyCommandTests
{
    private static readonly string Sample = Path.Combine(WhatsitCommand.Root, "models/grocery/sample.png");

    [Fact]
    public async Task A_photo_gets_a_table_for_people()
    {
        var (code, output, error) = await WhatsitCommand.RunAsync("classify", Sample, "--top-k", "3");
        Assert.Equal("", error);
        Assert.Equal(0, code);
        Assert.Contains("sample.png", output, StringComparison.Ordinal);
        Assert.Contains(RecordedLabel(), output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scripts_get_JSON_with_one_answer_per_photo_and_a_failure_spoils_only_itself()
    {
        var (code, output, _) = await WhatsitCommand.RunAsync("classify", Sample, "no-such-file.jpg", Sample, "--json", "--variant", "fp32");
        var answers = JsonNode.Parse(output)!.AsArray();
        Assert.Equal(1, code);
        Assert.Equal(3, answers.Count);
        Assert.Equal(RecordedLabel(), (string)answers[0]!["predictions"]![0]!["label"]!);
        Assert.Equal("There is no such file.", (string)answers[1]!["error"]!);
        Assert.True(JsonNode.DeepEquals(answers[0]!["predictions"], answers[2]!["predictions"]));
    }

    [Theory]
    [InlineData("--top-k", "82", "from 1 to 81")]
    [InlineData("--model", "nobody", "no model 'nobody'")]
    [InlineData("--variant", "int3", "no variant 'int3'")]
    public async Task A_bad_value_is_named_without_a_stack_trace(string option, string value, string named)
    {
        var (code, _, error) = await WhatsitCommand.RunAsync("classify", Sample, option, value);
        Assert.Equal(1, code);
        Assert.Contains(named, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    private static string RecordedLabel() =>
        (string)JsonNode.Parse(File.ReadAllText(Path.Combine(WhatsitCommand.Root, "models/grocery/model.json")))!["sample"]!["predictions"]![0]!["label"]!;
}
