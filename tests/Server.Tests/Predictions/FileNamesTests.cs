namespace Whatsit.Server.Tests.Predictions;

public sealed class FileNamesTests(WhatsitServer server)
{
    [Fact]
    public async Task Answers_to_several_files_carry_their_names()
    {
        using var form = new MultipartFormDataContent
        {
            { HttpAssert.Raw(WhatsitServer.Picture), "file", "apple.png" },
            { HttpAssert.Raw("hello"u8.ToArray()), "file", "Äpfel & Birnen.txt" },
        };
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", form, TestContext.Current.CancellationToken));
        var results = answer["results"]!.AsArray();
        Assert.Equal(["apple.png", "Äpfel & Birnen.txt"], results.Select(result => (string)result!["file"]!));
        Assert.NotNull(results[1]!["error"]);
    }
}
