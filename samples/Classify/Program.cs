// A photo in, labels out, in any program: dotnet run --project samples/Classify -- photo.jpg
using Microsoft.Extensions.DependencyInjection;
using Whatsit.Inference;

await using var services = new ServiceCollection()
    .AddWhatsit(options => options.Catalog.Models = "models")
    .BuildServiceProvider();
var classifier = services.GetRequiredService<WhatsitClassifier>();

foreach (var photo in args)
{
    var answer = await classifier.ClassifyAsync(await File.ReadAllBytesAsync(photo));
    Console.WriteLine($"{Path.GetFileName(photo)}: {answer.Predictions[0].Label} ({answer.Predictions[0].Confidence:P0})");
}
