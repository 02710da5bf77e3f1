Console.WriteLine("whatsit");
