using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>The bundled model keeps its card's promise through HTTP, on the data set's validation photos where they are at hand.</summary>
public sealed class GroceryAccuracyTests(WhatsitServer server)
{
    [Fact]
    public async Task The_validation_photos_get_the_accuracy_that_the_manifest_records()
    {
        var data = Path.Combine(WhatsitServer.Root, "../shared/data/grocery");
        Assert.SkipUnless(File.Exists(Path.Combine(data, "val.txt")), "The data set is not at ../shared/data/grocery.");
        var photos = (await File.ReadAllLinesAsync(Path.Combine(data, "val.txt"), TestContext.Current.CancellationToken))
            .Select(line => line.Split(", ")).ToArray();
        var groups = (await server.GetJsonAsync("/models/grocery/classes")).AsArray().Select(label => (string)label!["group"]!).ToArray();
        var (top1, top5, coarse) = (0, 0, 0);
        foreach (var photo in photos)
        {
            var expected = int.Parse(photo[1]);
            using var content = HttpAssert.Raw(await File.ReadAllBytesAsync(Path.Combine(data, photo[0]), TestContext.Current.CancellationToken), "image/jpeg");
            var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
            var best = answer["predictions"]!.AsArray().Select(prediction => (int)prediction!["index"]!).ToArray();
            top1 += best[0] == expected ? 1 : 0;
            top5 += best.Contains(expected) ? 1 : 0;
            coarse += groups[best[0]] == groups[expected] ? 1 : 0;
        }

        // The variant that serves here (int8 where the processor has VNNI) has figures of its own. One photo of slack: decoders may differ by a bit.
        var details = await server.GetJsonAsync("/models/grocery");
        var recorded = details["manifest"]!["metrics"]![(string)details["variant"]!]!;
        AssertAtLeast(recorded, "top1", top1, photos.Length);
        AssertAtLeast(recorded, "top5", top5, photos.Length);
        AssertAtLeast(recorded, "coarse_top1", coarse, photos.Length);
    }

    private static void AssertAtLeast(JsonNode recorded, string figure, int right, int photos) =>
        Assert.True(right + 1 >= (double)recorded[figure]! * photos,
            $"{figure}: {right} of {photos} photos are right; the manifest records {recorded[figure]}.");
}
