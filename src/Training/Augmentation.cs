using Whatsit.Inference.Imaging;
using Whatsit.ModelConversion.Training;

namespace Whatsit.Training;

/// <summary>Makes of each photo one that is a little different each time: a part of it, perhaps mirrored, in slightly other colours.</summary>
internal static class Augmentation
{
    private const int Tries = 10;
    private const double WidestAspect = 4d / 3;

    // ITU-R BT.601.
    private const float Red = 0.299f, Green = 0.587f, Blue = 0.114f;

    /// <summary>
    /// A part of the photo, mirrored every other time: <c>RandomResizedCrop</c> of torchvision before it resizes (area from the smallest share to 1, sides
    /// from 3:4 to 4:3).
    /// </summary>
    public static RgbImage Part(RgbImage image, double smallest, Random random)
    {
        var (width, height) = Sides(image, smallest, random);
        return PicturePart.Cut(image, width, height, random);
    }

    /// <summary>Changes brightness and white balance, then contrast, then saturation, in place.</summary>
    public static void Colour(Span<byte> pixels, FineTuningRecipe recipe, Random random)
    {
        var brightness = Factor(recipe.Jitter, random);
        var (red, green, blue) = (brightness * Factor(recipe.WhiteBalance, random), brightness * Factor(recipe.WhiteBalance, random),
            brightness * Factor(recipe.WhiteBalance, random));
        var (contrast, saturation) = (Factor(recipe.Jitter, random), Factor(recipe.Jitter, random));
        double sum = 0;
        for (var i = 0; i < pixels.Length; i += 3)
        {
            sum += (Red * Math.Min(255, pixels[i] * red)) + (Green * Math.Min(255, pixels[i + 1] * green)) + (Blue * Math.Min(255, pixels[i + 2] * blue));
        }

        var middle = (float)(sum / (pixels.Length / 3));
        for (var i = 0; i < pixels.Length; i += 3)
        {
            var r = Math.Clamp(middle + ((Math.Min(255, pixels[i] * red) - middle) * contrast), 0, 255);
            var g = Math.Clamp(middle + ((Math.Min(255, pixels[i + 1] * green) - middle) * contrast), 0, 255);
            var b = Math.Clamp(middle + ((Math.Min(255, pixels[i + 2] * blue) - middle) * contrast), 0, 255);
            var grey = (Red * r) + (Green * g) + (Blue * b);
            pixels[i] = (byte)Math.Clamp(grey + ((r - grey) * saturation) + 0.5f, 0, 255);
            pixels[i + 1] = (byte)Math.Clamp(grey + ((g - grey) * saturation) + 0.5f, 0, 255);
            pixels[i + 2] = (byte)Math.Clamp(grey + ((b - grey) * saturation) + 0.5f, 0, 255);
        }
    }

    private static (int Width, int Height) Sides(RgbImage image, double smallest, Random random)
    {
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            var area = (smallest + ((1 - smallest) * random.NextDouble())) * image.Width * image.Height;
            var aspect = Math.Exp(Math.Log(WidestAspect) * ((2 * random.NextDouble()) - 1));
            var (width, height) = ((int)Math.Round(Math.Sqrt(area * aspect)), (int)Math.Round(Math.Sqrt(area / aspect)));
            if (width > 0 && height > 0 && width <= image.Width && height <= image.Height)
            {
                return (width, height);
            }
        }

        return (Math.Min(image.Width, Math.Max(1, (int)(image.Height * WidestAspect))), Math.Min(image.Height, Math.Max(1, (int)(image.Width * WidestAspect))));
    }

    private static float Factor(double strength, Random random) => (float)(1 + (strength * ((2 * random.NextDouble()) - 1)));
}
